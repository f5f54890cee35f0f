import Glibc
import Linux
import Sandbox

/// A supervisor that is killed, under systemd.
func checkCrash(_ report: inout Report) {
  report.check("crash: kill -9 of the supervisor leaves nothing within 1 s of its next start") {
    let before = try Holdings.now()
    let (killed, trials) = try startAndKill(count: 6)
    let restarted = try nextSupervisor(after: killed.supervisor)
    // Asking systemd takes time that isn't the supervisor's.
    let unit = try Unit.supervisor.group()
    let start = ContinuousClock.now
    var left = try leftovers(of: killed, in: unit, before: before)
    while !left.isEmpty, ContinuousClock.now - start < .seconds(1) {
      left = try leftovers(of: killed, in: unit, before: before)
    }
    try expect(left.isEmpty, "1 s later there are \(left)")
    let took = (ContinuousClock.now - start).milliseconds
    withExtendedLifetime(trials) {}
    let restarts = try Unit.supervisor.property("NRestarts")
    try expect(restarts == "1", "NRestarts is \(restarts)")
    return "\(killed.processes.count) processes, gone \(took) ms after supervisor \(restarted) served"
  }
  report.check("crash: its successor makes sandboxes, with every limit") {
    let trial = try Trial(inside: "wait")
    try trial.line("waiting")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0) && receipt.json["not_enforced"]?.array == [], "\(receipt.json)")
    return "\(receipt.exit)"
  }
  report.check("crash: 'systemctl stop' ends every sandbox and leaves nothing") {
    let before = try Holdings.now()
    let trials = try (0..<4).map { _ in try Trial(inside: "wait") }
    for trial in trials { try trial.line("waiting") }
    let group = try Unit.supervisor.group()
    try Unit.supervisor.stop()
    let result = try Unit.supervisor.property("Result")
    try expect(result == "success", "the unit's result is \(result)")
    for trial in trials {
      // What it says last, or that it went away.
      if let receipt = try? trial.end() { try expect(receipt.exit == .cancelled, "it ended: \(receipt.exit)") }
    }
    try expect(access(group.path, F_OK) != 0, "\(group.path) is still there")
    try expect(access(Trial.socket, F_OK) != 0, "its socket is still there")
    try eventually("leaving nothing", within: .seconds(1)) {
      try Holdings.now().beyond(before).isEmpty ? true : nil
    }
    return result
  }
}

private struct Killed {
  var supervisor: pid_t
  var processes: [pid_t]
  var networkNamespaces: Set<UInt64>
}

/// Sandboxes in the middle of their lives, and one that is just being made, when the supervisor is killed.
private func startAndKill(count: Int) throws -> (Killed, [Trial]) {
  guard let supervisor = try Unit.supervisor.mainProcess() else { throw Unmet("the supervisor doesn't run") }
  var trials = try (0..<count).map { _ in try Trial(inside: "wait") }
  for trial in trials { try trial.line("waiting") }
  trials.append(try Trial(inside: "wait"))
  let own = try Unit.supervisor.group()
  let processes = own.processes.filter { $0 != supervisor }
  let namespaces = Set((processes + [supervisor]).compactMap { namespaceIDs(pid: "\($0)")["net"] })
  try expect(processes.count >= 2 * count, "there are only \(processes.count) processes in sandboxes")
  try expect(kill(supervisor, SIGKILL) == 0, "kill: \(errorName(errno))")
  return (Killed(supervisor: supervisor, processes: processes, networkNamespaces: namespaces), trials)
}

/// Waits until systemd has started another one and it serves.
private func nextSupervisor(after old: pid_t) throws -> pid_t {
  try eventually("the supervisor's restart") {
    guard let new = try Unit.supervisor.mainProcess(), new != old, UnixSocket.accepts(Trial.socket) else { return nil }
    return new
  }
}

private func leftovers(of killed: Killed, in unit: ControlGroup, before: Holdings) throws -> [String] {
  let alive = killed.processes.filter { kill($0, 0) == 0 }.map { "process \($0)" }
  let now = try Holdings.now(except: Set(unit.processes))
  let namespaces = now.networkNamespaces.intersection(killed.networkNamespaces).map { "network namespace \($0)" }
  let group = unit.descendant(named: "botburrow-\(killed.supervisor)").map { [$0.path] } ?? []
  return alive + namespaces + group + now.beyond(before)
}
