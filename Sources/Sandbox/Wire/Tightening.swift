import JSON
import Linux
import YAML

/// What a request gives up of what its profile gives, beyond the usual limits. It can only take away: whatever is looser
/// than the profile has no effect.
public struct Tightening: Sendable, Codable, Hashable {
  /// `memory.high`, bytes.
  public var memoryHighBytes: Int?
  /// `cpu.weight`, 1…10000.
  public var cpuWeight: Int?
  /// `io.max`; nil leaves the profile's.
  public var readBytesPerSecond: Int?
  /// `io.max`.
  public var writeBytesPerSecond: Int?
  /// `io.max`.
  public var readsPerSecond: Int?
  /// `io.max`.
  public var writesPerSecond: Int?
  /// RLIMIT_NOFILE.
  public var openFiles: Int?
  /// RLIMIT_FSIZE, bytes.
  public var fileSizeBytes: Int?
  /// There is no link to the gateway.
  public var withoutNetwork: Bool
  /// A kernel without Landlock makes no sandbox.
  public var needsLandlock: Bool
  /// Paths that are hidden besides the profile's.
  public var masked: [String]
  /// System calls that are denied besides the profile's.
  public var denied: [String]

  /// Nothing is given up.
  public init() {
    (withoutNetwork, needsLandlock, masked, denied) = (false, false, [], [])
  }
}

extension Tightening {
  /// For receipts: what is given up, and nothing else.
  var json: JSONValue? {
    var members: [String: JSONValue] = [:]
    for (name, value) in [
      ("memory_high", memoryHighBytes), ("cpu_weight", cpuWeight), ("read_bps", readBytesPerSecond),
      ("write_bps", writeBytesPerSecond), ("read_iops", readsPerSecond), ("write_iops", writesPerSecond),
      ("open_files", openFiles), ("file_size", fileSizeBytes),
    ] { members[name] = value.map { .integer(Int64($0)) } }
    if withoutNetwork { members["network"] = "none" }
    if needsLandlock { members["landlock"] = "required" }
    if !masked.isEmpty { members["masked"] = .array(masked.map { .string($0) }) }
    if !denied.isEmpty { members["deny"] = .array(denied.map { .string($0) }) }
    return members.isEmpty ? nil : .object(members)
  }

  /// What is wrong with it whatever the profile; nil when nothing is.
  func objection() -> String? {
    for (name, value, least) in [
      ("memoryHighBytes", memoryHighBytes, 1 << 20), ("cpuWeight", cpuWeight, 1), ("openFiles", openFiles, 16),
      ("fileSizeBytes", fileSizeBytes, 0), ("readBytesPerSecond", readBytesPerSecond, 4096),
      ("writeBytesPerSecond", writeBytesPerSecond, 4096), ("readsPerSecond", readsPerSecond, 1),
      ("writesPerSecond", writesPerSecond, 1),
    ] {
      if let value, value < least { return "\(name) \(value) must be at least \(least)" }
    }
    if masked.count > 64 { return "\(masked.count) masked paths are more than 64" }
    if let path = masked.first(where: { !isCleanAbsolutePath($0) || $0 == "/" || $0.utf8.contains(0) }) {
      return "masked path '\(path.prefix(256))' must be an absolute path without '.', '..' or '//'"
    }
    if let name = denied.first(where: { !SeccompPolicy.isKnownAnywhere($0) }) {
      return "'\(name.prefix(64))' names no system call"
    }
    if let name = denied.first(where: { InitCalls.ofInit[$0] != nil }) {
      return "'\(name)' can't be denied: PID 1 of every sandbox needs it (\(InitCalls.ofInit[name] ?? ""))"
    }
    return nil
  }
}

extension Profile {
  /// The profile without what is given up. Masked paths aren't among it: they are added where the plan is made.
  func tightened(by wish: Tightening) -> Profile {
    var profile = self
    profile.limits = limits.tightened(by: wish)
    if wish.withoutNetwork { profile.network = .none }
    if wish.needsLandlock { profile.landlock = .required }
    profile.syscalls = syscalls.denying(Set(wish.denied))
    return profile
  }

  /// Where an agent asks for more than the profile gives: one sentence each. Such a wish has no effect, so somebody
  /// expects something that won't be.
  public func excesses(_ asked: SandboxRequest.Limits, _ wish: Tightening?) -> [String] {
    func more<Value: Comparable>(_ key: String, _ asked: Value?, _ given: Value?, _ text: (Value) -> String) -> String?
    {
      guard let asked, let given, asked > given else { return nil }
      return
        "'\(key)' is \(text(asked)), more than the \(text(given)) of profile '\(name)'; a definition can only tighten"
    }
    let (size, count) = (sizeText, { (number: Int) in "\(number)" })
    var sentences = [
      more("memory", asked.memoryBytes, limits.memory, size),
      more("cpus", asked.cpus, limits.cpus, Profile.Limits.text), more("pids", asked.pids, limits.pids, count),
      more("timeout", asked.timeoutSeconds, limits.timeout / .seconds(1), { "\(Profile.Limits.text($0)) s" }),
    ]
    if let wish {
      sentences += [
        more("memory_high", wish.memoryHighBytes, limits.memoryHigh ?? limits.memory, size),
        more("cpu_weight", wish.cpuWeight, limits.cpuWeight, count),
        more("open_files", wish.openFiles, limits.openFiles, count),
        more("file_size", wish.fileSizeBytes, limits.fileSize, size),
        more("read_bps", wish.readBytesPerSecond, limits.io?.readBytes, size),
        more("write_bps", wish.writeBytesPerSecond, limits.io?.writeBytes, size),
        more("read_iops", wish.readsPerSecond, limits.io?.readOperations, count),
        more("write_iops", wish.writesPerSecond, limits.io?.writeOperations, count), wish.objection(),
      ]
      sentences += wish.masked.filter { !shows($0) }.map {
        "'masked' names \($0), which doesn't show in profile '\(name)' anyway"
      }
    }
    return sentences.compactMap { $0 }
  }

  /// Whether a path can be something of the host's or of /proc inside.
  func shows(_ path: String) -> Bool {
    (["/proc"] + readOnly.map(\.path)).contains { path == $0 || path.hasPrefix($0 + "/") }
  }
}

private func sizeText(_ bytes: Int) -> String { YAMLUnits.text(byteSize: bytes) }

extension Profile.Limits {
  fileprivate func tightened(by wish: Tightening) -> Profile.Limits {
    var limits = self
    limits.memoryHigh = lesser(memoryHigh, wish.memoryHighBytes)
    limits.cpuWeight = min(cpuWeight, wish.cpuWeight ?? .max)
    limits.openFiles = min(openFiles, wish.openFiles ?? .max)
    limits.fileSize = min(fileSize, wish.fileSizeBytes ?? .max)
    let io = Profile.IOLimits(
      readBytes: lesser(io?.readBytes, wish.readBytesPerSecond),
      writeBytes: lesser(io?.writeBytes, wish.writeBytesPerSecond),
      readOperations: lesser(io?.readOperations, wish.readsPerSecond),
      writeOperations: lesser(io?.writeOperations, wish.writesPerSecond))
    limits.io = io == Profile.IOLimits() ? nil : io
    return limits
  }
}

/// The smaller of two limits of which either may be open.
private func lesser(_ left: Int?, _ right: Int?) -> Int? {
  guard let left, let right else { return left ?? right }
  return min(left, right)
}
