import JSON
import Linux
import YAML

/// One rule of a resolved profile: which, its value as a file would write it, and what it means.
public struct ProfileStatement: Sendable, Hashable {
  /// Key and entry.
  public var rule: ProfileRule
  /// For comparing: two profiles agree on a rule where these are the same.
  public var value: String
  /// For a person: one clause.
  public var meaning: String
}

extension Profile {
  /// Everything that the profile says but its name and description, in the order of docs/profiles.md.
  public var statements: [ProfileStatement] {
    files + identity + walls + limits.statements + variables + syscalls.statements
  }

  private var files: [ProfileStatement] {
    var statements: [ProfileStatement] = []
    let filled = "what 'read_only' lists shows in it"
    let (rootValue, rootMeaning) =
      switch root {
      case .scratch: ("scratch", "the root directory is new and empty; \(filled)")
      case .directory(let path):
        ("{ directory: \(path) }", "the root directory is the host's \(path), read-only; \(filled)")
      case .image(let path):
        ("{ image: \(path) }", "the root directory is the file system in \(path), read-only; \(filled)")
      }
    statements.append(.init(rule: ProfileRule("root"), value: rootValue, meaning: rootMeaning))
    statements += readOnly.map { entry in
      ProfileStatement(
        rule: ProfileRule("read_only", entry.path), value: entry.optional ? "where the host has it" : "required",
        meaning: "\(entry.path) of the host can be read and run, not written; "
          + (entry.optional ? "where the host hasn't got it, nothing is there" : "a host without it makes no sandbox"))
    }
    statements += scratch.map { entry in
      let size = "\(YAMLUnits.text(byteSize: entry.size)), \(entry.inodes) files and directories"
      return ProfileStatement(
        rule: ProfileRule("scratch", entry.path), value: size,
        meaning: "\(entry.path) can be written: \(size), in memory, gone with the sandbox")
    }
    let kept = workspace.map { "\($0.path), \(YAMLUnits.text(byteSize: $0.size))" }
    statements.append(
      .init(
        rule: ProfileRule("workspace"), value: kept ?? "none",
        meaning: kept.map { "\($0) can be written, on disk, and is kept for the agent" }
          ?? "nothing that is written is kept"))
    return statements
  }

  private var identity: [ProfileStatement] {
    [
      .init(
        rule: ProfileRule("uid"), value: "\(uid)",
        meaning: "the program is user \(uid) inside; outside a user that no other sandbox has"),
      .init(
        rule: ProfileRule("gid"), value: "\(gid)",
        meaning: "the program is in group \(gid) inside; outside in one that no other sandbox has"),
      .init(rule: ProfileRule("hostname"), value: hostname, meaning: "the host's name inside is '\(hostname)'"),
    ]
  }

  private var walls: [ProfileStatement] {
    let link =
      network == .none
      ? "there is no network, and no port can be opened to it"
      : "one link to \(gatewayAddress), where only the ports answer that this activation was given"
    let second =
      switch landlock {
      case .required: "Landlock stands under the mounts; a kernel without it makes no sandbox"
      case .bestEffort: "Landlock stands under the mounts, where the kernel has it; else the receipt says so"
      case .off: "Landlock isn't used"
      }
    let group =
      controlGroup == .required
      ? "a host that can't limit memory, cpus or pids makes no sandbox"
      : "on a host that can't limit memory, cpus or pids it runs without, and the receipt says so"
    return [
      .init(rule: ProfileRule("network"), value: network.rawValue, meaning: link),
      .init(rule: ProfileRule("landlock"), value: landlock.rawValue, meaning: second),
      .init(rule: ProfileRule("cgroup"), value: controlGroup.rawValue, meaning: group),
    ]
  }

  private var variables: [ProfileStatement] {
    environment.sorted { $0.key < $1.key }.map { name, text in
      ProfileStatement(
        rule: ProfileRule("environment", name), value: text,
        meaning: "\(name) is '\(text)', unless the request says otherwise")
    }
      + masked.map { path in
        ProfileStatement(rule: ProfileRule("masked", path), value: "hidden", meaning: "\(path) is hidden")
      }
      + readOnlyProc.map { path in
        ProfileStatement(
          rule: ProfileRule("read_only_proc", path), value: "read-only", meaning: "\(path) can't be written")
      }
  }
}

extension Profile.Limits {
  fileprivate var statements: [ProfileStatement] {
    func one(_ key: String, _ value: String, _ meaning: String) -> ProfileStatement {
      ProfileStatement(rule: ProfileRule("limits.\(key)"), value: value, meaning: meaning)
    }
    func size(_ bytes: Int) -> String { YAMLUnits.text(byteSize: bytes) }
    let high = memoryHigh.map(size) ?? "none"
    return [
      one(
        "memory", size(memory), "at most \(size(memory)) of memory, files in memory included; beyond it all is killed"),
      one(
        "memory_high", high,
        memoryHigh == nil ? "memory isn't reclaimed early" : "from \(high) of memory on it is reclaimed and slowed down"
      ),
      one("swap", size(swap), swap == 0 ? "nothing is swapped out" : "at most \(size(swap)) are swapped out"),
      one("cpus", Self.text(cpus), "at most \(Self.text(cpus)) of a processor's time"),
      one(
        "cpu_weight", "\(cpuWeight)",
        "on a busy host a share of \(cpuWeight), where 100 is that of every other sandbox"),
      one("pids", "\(pids)", "at most \(pids) processes and threads, PID 1 included"),
      one("open_files", "\(openFiles)", "at most \(openFiles) open files a process"),
      one("file_size", size(fileSize), "no file larger than \(size(fileSize))"),
      one("timeout", YAMLUnits.text(timeout), "it is ended after \(YAMLUnits.text(timeout))"),
      one("io", io?.text ?? "none", io.map { "each disk: \($0.text)" } ?? "reading and writing of disks isn't limited"),
    ]
  }

  /// `2` instead of `2.0`.
  static func text(_ number: Double) -> String { Int(exactly: number).map { "\($0)" } ?? "\(number)" }
}

extension Profile.IOLimits {
  /// As a file writes it.
  var text: String {
    let parts: [String?] = [
      readBytes.map { "read_bps: \(YAMLUnits.text(byteSize: $0))" },
      writeBytes.map { "write_bps: \(YAMLUnits.text(byteSize: $0))" }, readOperations.map { "read_iops: \($0)" },
      writeOperations.map { "write_iops: \($0)" },
    ]
    return "{ \(parts.compactMap { $0 }.joined(separator: ", ")) }"
  }
}

extension SeccompPolicy {
  fileprivate var statements: [ProfileStatement] {
    var statements: [ProfileStatement] = []
    if let oci {
      statements.append(
        .init(
          rule: ProfileRule("syscalls.oci"), value: oci.file,
          meaning: "which system calls pass is said in \(oci.file), \(oci.rules.count) rules of which are for this host"
        ))
      statements += oci.refused.sorted().map { name in
        ProfileStatement(
          rule: ProfileRule("syscalls.allow", name), value: "denied", meaning: "\(name) is denied all the same")
      }
    }
    statements += allowed.sorted().map { name in
      ProfileStatement(
        rule: ProfileRule("syscalls.allow", name), value: "allowed", meaning: "\(name) may be called with any arguments"
      )
    }
    statements += conditional.sorted { $0.key < $1.key }.map { name, condition in
      ProfileStatement(
        rule: ProfileRule("syscalls.when", name), value: condition.text,
        meaning: "\(name) may be called where \(condition.meaning)")
    }
    statements += errnos.sorted { $0.key < $1.key }.map { name, number in
      ProfileStatement(
        rule: ProfileRule("syscalls.errno", name), value: errnoShortName(number),
        meaning: "\(name), where it is denied, answers \(errnoShortName(number))")
    }
    let (no, never) = (errnoShortName(denied), errnoShortName(unknown))
    statements += [
      .init(
        rule: ProfileRule("syscalls.denied"), value: no,
        meaning: oci == nil
          ? "every other call that is known answers \(no)" : "what no sandbox may call answers \(no)"),
      .init(
        rule: ProfileRule("syscalls.unknown"), value: never,
        meaning: "a call that nobody here knows answers \(never)"),
    ]
    return statements
  }
}

extension SeccompPolicy.Condition {
  /// As a file writes it.
  var text: String {
    let bits = isWide ? ", bits: 64" : ""
    return switch test {
    case .oneOf(let values): "argument: \(argument), one_of: [\(Self.list(values))]\(bits)"
    case .noneOf(let values): "argument: \(argument), none_of: [\(Self.list(values))]\(bits)"
    case .clear(let mask): "argument: \(argument), clear: \(Self.hexadecimal(mask))\(bits)"
    }
  }
  fileprivate var meaning: String {
    let what = isWide ? "argument \(argument)" : "argument \(argument) (its low 32 bits)"
    return switch test {
    case .oneOf(let values) where values.count == 1: "\(what) is \(Self.list(values))"
    case .oneOf(let values): "\(what) is one of \(Self.list(values))"
    case .noneOf(let values): "\(what) is none of \(Self.list(values))"
    case .clear(let mask): "\(what) has none of the bits \(Self.hexadecimal(mask))"
    }
  }
  private static func list(_ values: [UInt32]) -> String { values.map(number).joined(separator: ", ") }
  /// Small numbers are counts and families, large ones bits and requests.
  private static func number(_ value: UInt32) -> String { value < 256 ? "\(value)" : hexadecimal(value) }
  private static func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}
