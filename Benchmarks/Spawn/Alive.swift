import Glibc
import Linux
import Sandbox

/// What many sandboxes take while they live: private memory that is neither the agents' nor shared.
struct Alive {
  var count: Int
  /// Kilobytes a sandbox: the supervisor's growth, and PID 1's own.
  var supervisor: Double
  var initProcess: Double

  /// Starts them all, looks, and ends them.
  static func measure(_ supervised: Supervised, supervisor pid: pid_t, count: Int) throws -> Alive {
    // The first ones pay for what all share.
    for _ in 0..<10 { try supervised.run(["/bin/true"]) }
    let before = try privateMemory(pid)
    var living: [SandboxConnection] = []
    defer { for connection in living { connection.hangUp() } }
    for _ in 0..<count { living.append(try supervised.start(["/bin/sleep", "600"])) }
    for connection in living { try supervised.awaitStart(connection) }
    let grown = try privateMemory(pid) - before
    let own = namespaceIDs(pid: "\(pid)")["pid"]
    let children = try directories(in: "/proc/\(pid)/task").flatMap { thread in
      (try readFile("/proc/\(pid)/task/\(thread)/children")).split(separator: " ").compactMap { pid_t($0) }
    }.filter { namespaceIDs(pid: "\($0)")["pid"] != own }
    if children.count != count { throw BenchError("\(children.count) sandboxes live instead of \(count)") }
    let inits = try children.map { try privateMemory($0) }.reduce(0, +)
    return Alive(
      count: count, supervisor: Double(grown) / Double(count), initProcess: Double(inits) / Double(count))
  }

  /// Private_Clean and Private_Dirty of smaps_rollup (proc_pid_smaps(5)), kilobytes.
  private static func privateMemory(_ pid: pid_t) throws -> Int {
    try readFile("/proc/\(pid)/smaps_rollup").split(separator: "\n").filter { $0.hasPrefix("Private_") }
      .compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }.reduce(0, +)
  }
}
