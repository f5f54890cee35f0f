import Linux
import YAML

/// Absolute, and with nothing in it that means another place.
func isCleanAbsolutePath(_ path: String) -> Bool {
  path.hasPrefix("/")
    && path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      $0 != "" && $0 != "." && $0 != ".."
    }
}

/// 1 to 64 small letters, digits and `-`: safe as a file's name.
func isProfileName(_ name: String) -> Bool {
  !name.isEmpty && name.utf8.count <= 64
    && name.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...122).contains($0) }
}

extension YAMLKind where Value == String {
  static var absolutePath: YAMLKind<String> {
    YAMLKind<String>.nonEmptyString.map(placeholder: "/") { path throws(YAMLMismatch) in
      guard isCleanAbsolutePath(path) else {
        throw YAMLMismatch("must be an absolute path without '.', '..' or '//', not '\(path)'")
      }
      return path
    }
  }
  static var profileName: YAMLKind<String> {
    YAMLKind<String>.nonEmptyString.map(placeholder: "default") { name throws(YAMLMismatch) in
      guard isProfileName(name) else {
        throw YAMLMismatch("must be a name of small letters, digits and '-', not '\(name)'")
      }
      return name
    }
  }
  /// A file beside the profile.
  static var fileName: YAMLKind<String> {
    YAMLKind<String>.nonEmptyString.map(placeholder: "x") { name throws(YAMLMismatch) in
      guard !name.contains("/"), name != ".", name != "..", !name.utf8.contains(0) else {
        throw YAMLMismatch("must be the name of a file beside the profile, without '/', not '\(name)'")
      }
      return name
    }
  }
  /// A call that libseccomp knows; names of other architectures are fine, they just don't exist here.
  static var syscall: YAMLKind<String> {
    YAMLKind<String>.nonEmptyString.map(placeholder: "read") { name throws(YAMLMismatch) in
      if let problem = unknownSyscall(name) { throw YAMLMismatch(problem) }
      return name
    }
  }
}

private func unknownSyscall(_ name: String) -> String? {
  if SeccompPolicy.isKnownAnywhere(name) { return nil }
  let nearest = Spelling.nearest(to: name, in: SeccompPolicy.known.keys)
  return "names no system call: '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? "")
}

extension YAMLKind where Value == [YAMLPlaced<String>] {
  /// One name, or a list of them: files group calls by what they are for.
  static var syscallGroup: YAMLKind<[YAMLPlaced<String>]> {
    YAMLKind<[YAMLPlaced<String>]>(placeholder: []) { node throws(YAMLMismatch) in
      var names: [YAMLPlaced<String>] = []
      for element in node.elements ?? [node] {
        guard let name = element.text else { throw YAMLMismatch("must be names of system calls", at: element.position) }
        if let problem = unknownSyscall(name) { throw YAMLMismatch(problem, at: element.position) }
        names.append(YAMLPlaced(name, at: element.position))
      }
      return names
    }
  }
}

extension YAMLKind where Value == UInt32 {
  /// Decimal or 0x….
  static var word32: YAMLKind<UInt32> {
    YAMLKind<String>.nonEmptyString.map(placeholder: 0) { text throws(YAMLMismatch) in
      let number = text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
      guard let number else { throw YAMLMismatch("must be a number of 32 bits, not '\(text)'") }
      return number
    }
  }
}

extension YAMLKind where Value == Int32 {
  /// An errno by name, or a number that the kernel passes on (4095 is MAX_ERRNO; more would read as an address).
  static var errno: YAMLKind<Int32> {
    YAMLKind<String>.nonEmptyString.map(placeholder: 1) { text throws(YAMLMismatch) in
      if let number = Int32(text), (1...4095).contains(number) { return number }
      if let number = errnoNumber(text) { return number }
      throw YAMLMismatch("must be the name of an errno such as EPERM, or a number between 1 and 4095, not '\(text)'")
    }
  }
}

extension YAMLKind where Value == Profile.ReadOnlyPath {
  /// A question mark in front: where the host has it.
  static var readOnlyPath: YAMLKind<Profile.ReadOnlyPath> {
    YAMLKind<String>.string.map(placeholder: Profile.ReadOnlyPath(path: "/", optional: true)) {
      text throws(YAMLMismatch) in
      let optional = text.hasPrefix("?")
      let path = optional ? String(text.dropFirst()) : text
      guard isCleanAbsolutePath(path) else {
        throw YAMLMismatch("must be an absolute path without '.', '..' or '//', not '\(text)'")
      }
      return Profile.ReadOnlyPath(path: path, optional: optional)
    }
  }
}
