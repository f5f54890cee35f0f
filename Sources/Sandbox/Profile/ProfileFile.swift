import Crypto
import Linux
import YAML

/// Reads profiles from files.
public enum ProfileFile {
  /// A profile and the digest of the file that it came from.
  public struct Loaded: Sendable, Hashable {
    /// What the file says.
    public var profile: Profile
    /// `sha256:…` of the file's bytes.
    public var digest: String
  }

  /// Reads one profile. `file` names it in errors; `name` is its name.
  public static func parse(_ bytes: [UInt8], file: String, name: String) throws(YAMLErrors) -> Loaded {
    let profile = try YAML.read(bytes, file: file) { reader in read(reader, name: name) }
    let digest = SHA256.hash(data: bytes).map { hexadecimal($0) }.joined()
    return Loaded(profile: profile, digest: "sha256:\(digest)")
  }

  private static func read(_ reader: MappingReader, name: String) -> Profile {
    Profile(
      name: name,
      description: reader.required("description", .nonEmptyString),
      readOnly: readOnlyPaths(reader),
      scratch: scratch(reader),
      uid: reader.value("uid", .int(in: 1...65533), default: 1000),
      gid: reader.value("gid", .int(in: 1...65533), default: 1000),
      network: reader.value("network", .oneOf(Profile.Network.self, else: .none), default: .gateway),
      controlGroup: reader.value(
        "cgroup", .oneOf(Profile.ControlGroupPolicy.self, else: .required), default: .required),
      limits: reader.requiredMapping("limits", limits) ?? placeholder,
      environment: reader.value("environment", .stringMap, default: [:]),
      hostname: reader.value("hostname", .nonEmptyString, default: "sandbox"),
      masked: reader.value("masked", .list(of: .absolutePath), default: []),
      readOnlyProc: reader.value("read_only_proc", .list(of: .absolutePath), default: []),
      syscalls: reader.requiredMapping("syscalls", syscalls) ?? SeccompPolicy(allowed: []))
  }

  private static let placeholder = Profile.Limits(
    memory: 1, swap: 0, cpus: 1, pids: 1, openFiles: 1, fileSize: 1, timeout: .zero)

  private static func limits(_ reader: MappingReader) -> Profile.Limits {
    Profile.Limits(
      memory: reader.required("memory", .byteSize(in: 1 << 20...1 << 50)),
      swap: reader.value("swap", .byteSize(), default: 0),
      cpus: reader.required("cpus", .double(in: 0.01...1024)),
      pids: reader.required("pids", .int(in: 2...1_000_000)),
      openFiles: reader.value("open_files", .int(in: 16...1_048_576), default: 1024),
      fileSize: reader.value("file_size", .byteSize(), default: 1 << 30),
      timeout: reader.required("timeout", .duration(in: .milliseconds(100) ... .seconds(86400))))
  }

  private static func readOnlyPaths(_ reader: MappingReader) -> [Profile.ReadOnlyPath] {
    reader.value("read_only", .list(of: .string), default: []).map { text in
      // A question mark in front: where the host has it.
      let optional = text.hasPrefix("?")
      let path = optional ? String(text.dropFirst()) : text
      if !isCleanAbsolutePath(path) {
        reader.report("read_only", "'\(text)' in 'read_only' must be an absolute path without '.', '..' or '//'")
      }
      return Profile.ReadOnlyPath(path: path, optional: optional)
    }
  }

  private static func scratch(_ reader: MappingReader) -> [Profile.Scratch] {
    reader.mappings("scratch") { entry in
      Profile.Scratch(
        path: entry.required("path", .absolutePath),
        size: entry.required("size", .byteSize(in: 4096...1 << 50)),
        inodes: entry.value("inodes", .int(in: 16...100_000_000), default: 65536))
    }
  }

  private static func syscalls(_ reader: MappingReader) -> SeccompPolicy {
    var policy = SeccompPolicy(allowed: Set(reader.required("allow", .list(of: .syscallGroup)).flatMap { $0 }))
    for (name, condition) in reader.mappings("when", condition) {
      if policy.allowed.contains(name) {
        reader.report("when", "'\(name)' is in 'allow' already, so its condition would never be looked at")
      }
      policy.conditional[name] = condition
    }
    policy.errnos = (reader.optional("errno", .dictionary(of: .oneOf(["EPERM", "ENOSYS"]))) ?? [:])
      .mapValues { $0 == "ENOSYS" ? 38 : 1 }
    return policy
  }

  private static func condition(_ reader: MappingReader) -> (String, SeccompPolicy.Condition) {
    let name = reader.required("name", .syscall)
    let argument = UInt32(reader.required("argument", .int(in: 0...5)))
    let oneOf = reader.optional("one_of", .list(of: .word32))
    let noneOf = reader.optional("none_of", .list(of: .word32))
    let clear = reader.optional("clear", .word32)
    let tests: [SeccompPolicy.Condition.Test] = [
      oneOf.map { .oneOf($0) }, noneOf.map { .noneOf($0) }, clear.map { .clear($0) },
    ].compactMap { $0 }
    // By key: a value that can't be read has been reported already.
    if Set(reader.keys).intersection(["one_of", "none_of", "clear"]).count != 1 {
      reader.report(at: reader.position, "'\(name)' needs exactly one of 'one_of', 'none_of' and 'clear'")
    }
    return (name, SeccompPolicy.Condition(argument: argument, tests.first ?? .oneOf([])))
  }
}

/// Two hexadecimal digits.
func hexadecimal(_ byte: UInt8) -> String {
  (byte < 16 ? "0" : "") + String(byte, radix: 16)
}

/// Absolute, and with nothing in it that means another place.
func isCleanAbsolutePath(_ path: String) -> Bool {
  path.hasPrefix("/")
    && path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      $0 != "" && $0 != "." && $0 != ".."
    }
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
  /// A call that libseccomp knows; names of other architectures are fine, they just don't exist here.
  static var syscall: YAMLKind<String> {
    YAMLKind<String>.nonEmptyString.map(placeholder: "read") { name throws(YAMLMismatch) in
      guard SeccompPolicy.isKnownAnywhere(name) else {
        let nearest = Spelling.nearest(to: name, in: SeccompPolicy.known.keys)
        throw YAMLMismatch("names no system call: '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
      }
      return name
    }
  }
}

extension YAMLKind where Value == [String] {
  /// One name, or a list of them: files group calls by what they are for.
  static var syscallGroup: YAMLKind<[String]> {
    YAMLKind<[String]>(placeholder: []) { node throws(YAMLMismatch) in
      var names: [String] = []
      for element in node.elements ?? [node] {
        guard let name = element.text else { throw YAMLMismatch("must be names of system calls", at: element.position) }
        guard SeccompPolicy.isKnownAnywhere(name) else {
          let nearest = Spelling.nearest(to: name, in: SeccompPolicy.known.keys)
          let advice = nearest.map { "; did you mean '\($0)'?" } ?? ""
          throw YAMLMismatch("names no system call: '\(name)'\(advice)", at: element.position)
        }
        names.append(name)
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
