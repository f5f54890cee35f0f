import Glibc
import JSON
import Linux

/// Limits and use of a sandbox as the kernel tells them.
enum ReadBack {
  /// A process's limits that the plan sets; one that is another number than the plan's is an error.
  static func limits(_ plan: Plan, pid: pid_t) throws(SetupFailure) -> JSONValue {
    var found: [String: JSONValue] = [:]
    for case .limit(let resource, let value) in plan.inside {
      let limits: ResourceLimits
      do throws(LinuxError) { limits = try .read(resource.rawValue, pid: pid) } catch { throw SetupFailure(error) }
      if limits != ResourceLimits(soft: UInt64(value), hard: UInt64(value)) {
        throw SetupFailure(
          operation: "inspect", object: "limit \(resource.receiptName)", reason: "it is \(limits.soft), not \(value)")
      }
      found[resource.receiptName] = .integer(Int64(clamping: limits.soft))
    }
    return .object(found)
  }

  /// A group's limits as its files have them.
  static func limits(_ group: ControlGroup, files: [String]) -> JSONValue {
    var found: [String: JSONValue] = [:]
    for file in files { found[file] = group.value(file).map { .string($0) } }
    return .object(found)
  }

  /// What a group's processes used, as far as these controllers count it.
  static func usage(_ group: ControlGroup, controllers: Set<String>) -> [String: JSONValue] {
    var usage: [String: JSONValue] = [:]
    let times = keyed(group.value("cpu.stat"))
    for (name, key) in [("cpu_seconds", "usage_usec"), ("cpu_user_seconds", "user_usec")] {
      usage[name] = times[key].map { .number(Double($0) / 1e6) }
    }
    for (name, file) in [("memory_peak_bytes", "memory.peak"), ("pids_peak", "pids.peak")]
    where controllers.contains(String(file.prefix { $0 != "." })) {
      usage[name] = group.value(file).flatMap { Int64($0) }.map { .integer($0) }
    }
    if controllers.contains("io"), let text = group.value("io.stat") { usage["io"] = io(text) }
    return usage
  }

  /// Sums of all devices in io.stat ("8:0 rbytes=1 wbytes=2 rios=3 wios=4 …").
  static func io(_ text: String) -> JSONValue {
    var sums = ["rbytes": Int64(0), "wbytes": 0, "rios": 0, "wios": 0]
    for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      let parts = word.split(separator: "=")
      if parts.count == 2, let value = Int64(parts[1]), let sum = sums[String(parts[0])] {
        sums[String(parts[0])] = sum &+ value
      }
    }
    return .object([
      "read_bytes": .integer(sums["rbytes"] ?? 0), "written_bytes": .integer(sums["wbytes"] ?? 0),
      "reads": .integer(sums["rios"] ?? 0), "writes": .integer(sums["wios"] ?? 0),
    ])
  }

  private static func keyed(_ text: String?) -> [String: Int64] {
    var values: [String: Int64] = [:]
    for line in (text ?? "").split(separator: "\n") {
      let parts = line.split(separator: " ")
      if parts.count == 2 { values[String(parts[0])] = Int64(parts[1]) }
    }
    return values
  }
}

extension InsideOperation.ResourceLimit {
  /// Its name in receipts.
  var receiptName: String {
    switch self {
    case .fileSize: "file_size"
    case .core: "core"
    case .processes: "processes"
    case .openFiles: "open_files"
    case .lockedMemory: "locked_memory"
    case .messageQueues: "message_queues"
    }
  }
}
