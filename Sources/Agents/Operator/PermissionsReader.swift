import YAML

extension Permissions {
  /// Reads `config/permissions.yaml`.
  /// - Parameter file: how errors name the file.
  public static func read(_ bytes: some Sequence<UInt8>, file: String) throws(YAMLErrors) -> Permissions {
    try YAML.read(bytes, file: file) { root in
      var permissions = Permissions()
      root.mapping("default") { permissions.standard = readRule($0) }
      root.mapping("agents") { reader in
        for name in reader.keys where !name.hasPrefix("x-") {
          let stem = name.hasSuffix("*") ? name.dropLast() : name[...]
          if !stem.isEmpty, !AgentDefinition.isName(String(stem)) {
            reader.report(
              name,
              "'\(name)' can't be an agent's name; it has lower-case letters, digits and hyphens, and '*' at its end")
          }
          permissions.agents[name] = reader.mapping(name) { readRule($0) }
        }
      }
      return permissions
    }
  }

  private static func readRule(_ reader: MappingReader) -> Rule {
    var rule = Rule()
    if reader.node("allow") != nil { rule.allow = patterns("allow", reader) }
    rule.deny = patterns("deny", reader)
    rule.inlineServers = reader.mapping("inline_servers") { reader in
      var inline = InlineServers()
      inline.allowed = reader.value("allow", .bool, default: false)
      inline.commands = reader.value("commands", .stringList, default: [])
      if inline.allowed && inline.commands.isEmpty {
        reader.report(
          "allow", "'inline_servers' allows programs and names none; list them in 'commands', or '*' for any")
      }
      return inline
    }
    return rule
  }

  private static func patterns(_ key: String, _ reader: MappingReader) -> [GrantPattern] {
    reader.elements(key) { node in
      guard let pattern = node.text.flatMap({ GrantPattern($0) }) else {
        reader.report(
          at: node.position,
          "'\(key)' must list grants such as github:read, github:*, *:read or *, not '\(node.text ?? "a list or mapping")'"
        )
        return nil
      }
      return pattern
    }
  }
}
