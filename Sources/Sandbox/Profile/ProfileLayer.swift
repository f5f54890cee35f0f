import Linux
import YAML

/// One thing that a resolved profile says: the key, and for lists and mappings which of their entries.
public struct ProfileRule: Sendable, Hashable {
  /// `limits.memory`, `read_only`, `syscalls.allow`…
  public var key: String
  /// The path, variable or system call; empty for keys with a single value.
  public var item: String
  /// Names a rule.
  public init(_ key: String, _ item: String = "") {
    self.key = key
    self.item = item
  }
}

/// One change that a file makes to what its parents say.
struct ProfileChange {
  enum Effect {
    /// The rule holds from now on.
    case states((inout Profile) -> Void)
    /// The rule, which a parent stated, holds no longer.
    case removes((inout Profile) -> Void)
  }
  var rule: ProfileRule
  var position: YAMLPosition
  var effect: Effect
  /// Rules of parents that this one stands in place of.
  var replaces: [ProfileRule] = []
  /// Keys of which it replaces every rule.
  var replacesAll: [String] = []
}

/// What one file of a chain says, as changes in the order in which they are made.
struct ProfileLayer {
  var parent: YAMLPlaced<String>?
  /// It names no parent: it has to say everything that has no default.
  private let isRoot: Bool
  /// The file of `syscalls.oci`, which stands before all changes.
  private(set) var oci: YAMLPlaced<String>?
  var changes: [ProfileChange] = []

  /// Reads one file.
  init(_ reader: MappingReader) {
    isRoot = reader.node("extends") == nil
    parent = reader.optional("extends", .placed(.profileName))
    // In every file: what a child is for, its parent can't know.
    let text = reader.required("description", .placed(.nonEmptyString))
    state("description", text.position) { $0.description = text.value }
    reader.mapping("remove") { readRemovals($0) }
    readFiles(reader)
    set(reader, "uid", .int(in: 1...65533)) { $0.uid = $1 }
    set(reader, "gid", .int(in: 1...65533)) { $0.gid = $1 }
    set(reader, "hostname", .nonEmptyString) { $0.hostname = $1 }
    set(reader, "network", .oneOf(Profile.Network.self, else: .none)) { $0.network = $1 }
    set(reader, "cgroup", .oneOf(Profile.ControlGroupPolicy.self, else: .required)) { $0.controlGroup = $1 }
    set(reader, "landlock", .oneOf(Profile.Enforcement.self, else: .required)) { $0.landlock = $1 }
    for (name, text) in reader.value("environment", .dictionary(of: .placed(.string)), default: [:]) {
      state("environment", text.position, item: name) { $0.environment[name] = text.value }
    }
    section(reader, "limits", isRequired: isRoot) { readLimits($0) }
    section(reader, "syscalls", isRequired: isRoot) { readSyscalls($0) }
  }

  private mutating func state(
    _ key: String, _ position: YAMLPosition, item: String = "", replaces: [ProfileRule] = [],
    _ apply: @escaping (inout Profile) -> Void
  ) {
    changes.append(
      ProfileChange(rule: ProfileRule(key, item), position: position, effect: .states(apply), replaces: replaces))
  }

  /// A key with a single value: required where there is neither parent nor default.
  private mutating func set<Value>(
    _ reader: MappingReader, _ key: String, _ kind: YAMLKind<Value>, isRequired: Bool = false,
    _ apply: @escaping (inout Profile, Value) -> Void
  ) {
    let found =
      isRequired && isRoot ? reader.required(key, .placed(kind)) : reader.optional(key, .placed(kind))
    guard let found else { return }
    let path = reader.name.map { "\($0)." } ?? ""
    state(path + key, found.position) { apply(&$0, found.value) }
  }

  private mutating func readLimits(_ reader: MappingReader) {
    set(reader, "memory", .byteSize(in: 1 << 20...1 << 50), isRequired: true) { $0.limits.memory = $1 }
    set(reader, "memory_high", .orNone(.byteSize(in: 1 << 20...1 << 50))) { $0.limits.memoryHigh = $1 }
    set(reader, "swap", .byteSize()) { $0.limits.swap = $1 }
    set(reader, "cpus", .double(in: 0.01...1024), isRequired: true) { $0.limits.cpus = $1 }
    set(reader, "cpu_weight", .int(in: 1...10_000)) { $0.limits.cpuWeight = $1 }
    set(reader, "pids", .int(in: 2...1_000_000), isRequired: true) { $0.limits.pids = $1 }
    set(reader, "open_files", .int(in: 16...1_048_576)) { $0.limits.openFiles = $1 }
    set(reader, "file_size", .byteSize()) { $0.limits.fileSize = $1 }
    set(reader, "timeout", .duration(in: .milliseconds(100) ... .seconds(86400)), isRequired: true) {
      $0.limits.timeout = $1
    }
    noneOrMapping(reader, "io", rule: "limits.io") { reader in
      let rate = YAMLKind<Int>.byteSize(in: 4096...1 << 50)
      let count = YAMLKind<Int>.int(in: 1...1_000_000_000)
      let io = Profile.IOLimits(
        readBytes: reader.optional("read_bps", rate), writeBytes: reader.optional("write_bps", rate),
        readOperations: reader.optional("read_iops", count), writeOperations: reader.optional("write_iops", count))
      return { $0.limits.io = io == Profile.IOLimits() ? nil : io }
    } none: {
      $0.limits.io = nil
    }
  }

  private mutating func noneOrMapping(
    _ reader: MappingReader, _ key: String, rule: String, _ body: (MappingReader) -> (inout Profile) -> Void,
    none: @escaping (inout Profile) -> Void
  ) {
    guard let node = reader.node(key) else { return }
    if node.text == "none" { return state(rule, node.position, none) }
    if let apply = reader.nested(node, named: key, body) { state(rule, node.position, apply) }
  }

  private mutating func readFiles(_ reader: MappingReader) {
    readRoot(reader)
    for entry in reader.value("read_only", .list(of: .placed(.readOnlyPath)), default: []) {
      state("read_only", entry.position, item: entry.value.path) { profile in
        put(entry.value, into: &profile.readOnly) { $0.path == entry.value.path }
      }
    }
    readWorkspace(reader)
    for (scratch, position) in reader.mappings("scratch", Self.scratch) {
      state("scratch", position, item: scratch.path) { profile in
        put(scratch, into: &profile.scratch) { $0.path == scratch.path }
      }
    }
    for (key, list) in [("masked", \Profile.masked), ("read_only_proc", \Profile.readOnlyProc)] {
      for path in reader.value(key, .list(of: .placed(.absolutePath)), default: []) {
        state(key, path.position, item: path.value) { profile in
          put(path.value, into: &profile[keyPath: list]) { $0 == path.value }
        }
      }
    }
  }

  private static func scratch(_ entry: MappingReader) -> (Profile.Scratch, YAMLPosition) {
    let scratch = Profile.Scratch(
      path: entry.required("path", .absolutePath),
      size: entry.required("size", .byteSize(in: 4096...1 << 50)),
      inodes: entry.value("inodes", .int(in: 16...100_000_000), default: 65536))
    return (scratch, entry.position)
  }

  private mutating func readRoot(_ reader: MappingReader) {
    guard let node = reader.node("root") else { return }
    if node.text == "scratch" { return state("root", node.position) { $0.root = .scratch } }
    guard node.entries != nil else {
      return reader.report("root", "'root' must be scratch, { directory: /path } or { image: /path }")
    }
    let root = reader.nested(node, named: "root") { reader -> Profile.Root in
      let directory = reader.optional("directory", .absolutePath)
      let image = reader.optional("image", .absolutePath)
      if Set(reader.keys).intersection(["directory", "image"]).count != 1 {
        reader.report(at: reader.position, "'root' needs exactly one of 'directory' and 'image'")
      }
      return directory.map { .directory($0) } ?? image.map { .image($0) } ?? .scratch
    }
    if let root { state("root", node.position) { $0.root = root } }
  }

  private mutating func readWorkspace(_ reader: MappingReader) {
    guard let node = reader.node("workspace") else { return }
    if node.text == "none" { return state("workspace", node.position) { $0.workspace = nil } }
    let workspace = reader.nested(node, named: "workspace") { reader in
      Profile.Workspace(
        path: reader.required("path", .absolutePath),
        // Smaller ones have no room for ext4's journal.
        size: reader.required("size", .byteSize(in: 8 << 20...1 << 50)))
    }
    guard let workspace else { return }
    // What stays takes the place of what doesn't.
    state("workspace", node.position, replaces: [ProfileRule("scratch", workspace.path)]) { profile in
      profile.workspace = workspace
      profile.scratch.removeAll { $0.path == workspace.path }
    }
  }

  private mutating func readSyscalls(_ reader: MappingReader) {
    let allow = YAMLKind<[[YAMLPlaced<String>]]>.list(of: .syscallGroup)
    readOCI(reader)
    let groups =
      isRoot && oci == nil ? reader.required("allow", allow) : reader.value("allow", allow, default: [])
    var allowed: Set<String> = []
    for name in groups.flatMap({ $0 }) {
      allowed.insert(name.value)
      state(
        "syscalls.allow", name.position, item: name.value, replaces: [ProfileRule("syscalls.when", name.value)]
      ) { profile in
        profile.syscalls.allowed.insert(name.value)
        profile.syscalls.conditional[name.value] = nil
      }
    }
    var conditioned: Set<String> = []
    for (name, condition, position) in reader.mappings("when", Self.condition) {
      if allowed.contains(name) {
        reader.report("when", "'\(name)' is in 'allow' already, so its condition would never be looked at")
      }
      if !conditioned.insert(name).inserted {
        reader.report(at: position, "'\(name)' has a condition already; put all of it into one")
      }
      state("syscalls.when", position, item: name, replaces: [ProfileRule("syscalls.allow", name)]) { profile in
        profile.syscalls.allowed.remove(name)
        profile.syscalls.conditional[name] = condition
      }
    }
    for (name, number) in reader.value("errno", .dictionary(of: .placed(.errno)), default: [:]) {
      state("syscalls.errno", number.position, item: name) { $0.syscalls.errnos[name] = number.value }
    }
    set(reader, "denied", .errno) { $0.syscalls.denied = $1 }
    set(reader, "unknown", .errno) { $0.syscalls.unknown = $1 }
  }

  /// A Docker or OCI file has rules of a form that ours can't be added to.
  private mutating func readOCI(_ reader: MappingReader) {
    oci = reader.optional("oci", .placed(.fileName))
    for key in ["allow", "when", "errno"] where oci != nil && reader.node(key) != nil {
      reader.report(key, "'\(key)' can't stand beside 'oci'; write it into that file")
    }
  }

  private static func condition(_ reader: MappingReader) -> (String, SeccompPolicy.Condition, YAMLPosition) {
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
    let isWide = reader.value("bits", .oneOf(["32", "64"]), default: "32") == "64"
    return (
      name, SeccompPolicy.Condition(argument: argument, tests.first ?? .oneOf([]), isWide: isWide), reader.position
    )
  }

  /// `remove`: what a parent has and this profile shall not have.
  private mutating func readRemovals(_ reader: MappingReader) {
    if isRoot {
      reader.report(at: reader.position, "'remove' needs 'extends': without a parent there is nothing to take away")
    }
    func each(
      _ key: String, _ kind: YAMLKind<String>, _ rules: [String],
      _ apply: @escaping (inout Profile, String) -> Void
    ) {
      for entry in reader.value(key, .list(of: .placed(kind)), default: []) {
        // Of a call's two possible rules at most one is there; `replaces` takes the other's origin too.
        changes.append(
          ProfileChange(
            rule: ProfileRule(rules[0], entry.value), position: entry.position,
            effect: .removes { apply(&$0, entry.value) },
            replaces: rules.dropFirst().map { ProfileRule($0, entry.value) }))
      }
    }
    each("read_only", .absolutePath, ["read_only"]) { profile, path in profile.readOnly.removeAll { $0.path == path } }
    each("scratch", .absolutePath, ["scratch"]) { profile, path in profile.scratch.removeAll { $0.path == path } }
    each("masked", .absolutePath, ["masked"]) { profile, path in profile.masked.removeAll { $0 == path } }
    each("read_only_proc", .absolutePath, ["read_only_proc"]) { profile, path in
      profile.readOnlyProc.removeAll { $0 == path }
    }
    each("environment", .nonEmptyString, ["environment"]) { $0.environment[$1] = nil }
    each("syscalls", .syscall, ["syscalls.allow", "syscalls.when"]) { profile, name in
      profile.syscalls = profile.syscalls.denying([name])
    }
  }
}

private func section(
  _ reader: MappingReader, _ key: String, isRequired: Bool, _ body: (MappingReader) -> Void
) {
  if isRequired { _ = reader.requiredMapping(key, body) } else { reader.mapping(key, body) }
}

/// In place of the entry that is like it, else at the end.
private func put<Value>(_ value: Value, into list: inout [Value], like: (Value) -> Bool) {
  if let index = list.firstIndex(where: like) { list[index] = value } else { list.append(value) }
}
