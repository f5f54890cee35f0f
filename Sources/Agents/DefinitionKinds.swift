import YAML

// What scalars of definitions and skills may be.

extension YAMLKind where Value == String {
  static func checked(_ predicate: String, _ accept: @escaping (String) -> Bool) -> YAMLKind<String> {
    YAMLKind.string.map(placeholder: "") { text throws(YAMLMismatch) in
      guard accept(text) else { throw YAMLMismatch("\(predicate), not '\(text)'") }
      return text
    }
  }
  static var agentID: YAMLKind<String> {
    checked("must be 3 to 50 lower-case letters, digits and hyphens", AgentDefinition.isID)
  }
  /// Of skills, servers and profiles.
  static var skillName: YAMLKind<String> {
    checked("must be at most 50 lower-case letters, digits and hyphens") {
      AgentDefinition.isName($0) && $0.utf8.count <= 50
    }
  }
  static var community: YAMLKind<String> {
    checked("must be written m/name") { $0.hasPrefix("m/") && AgentDefinition.isName(String($0.dropFirst(2))) }
  }
  static var semanticVersion: YAMLKind<String> {
    checked("must be a version such as 1.0.0") { text in
      let parts = text.split(separator: ".", omittingEmptySubsequences: false)
      return parts.count == 3 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { ("0"..."9").contains($0) } }
    }
  }
  static var absolutePath: YAMLKind<String> {
    checked("must be an absolute path without '.', '..' or '//'") { text in
      text.hasPrefix("/") && text.utf8.count > 1
        && text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
          $0 != "" && $0 != "." && $0 != ".."
        }
    }
  }
  /// The versions of the definition's schema that are read here.
  static var schemaVersion: YAMLKind<String> {
    semanticVersion.map(placeholder: "") { text throws(YAMLMismatch) in
      guard text.hasPrefix("1.") else {
        throw YAMLMismatch("is \(text), but only versions 1.x of the schema are read here")
      }
      return text
    }
  }
  static var variableName: YAMLKind<String> {
    checked("must be the name of an environment variable, in capitals") { text in
      text.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        && text.utf8.first.map { (0x41...0x5A).contains($0) } == true
    }
  }
}

extension YAMLKind where Value == Grant {
  static var grant: YAMLKind<Grant> {
    YAMLKind<String>.string.map(placeholder: Grant(service: "", permission: "")) { text throws(YAMLMismatch) in
      guard let grant = Grant(parsing: text) else {
        throw YAMLMismatch(
          "must be service:permission or service:permission:resource, with * as the last part at most, not '\(text)'")
      }
      return grant
    }
  }
}
