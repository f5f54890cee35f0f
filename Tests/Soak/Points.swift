import Glibc
import Leftovers
import Linux
import Sandbox

/// A step at which somebody is killed.
private struct Step {
  var name: String
  /// How often one sandbox passes it.
  var turns: Int
  enum Place { case start, root, sandbox }
  var place: Place
}

/// At each named step the supervisor stands still, one process is killed, and it goes on. Victims by turns.
func soakPoints(_ world: World, _ options: Options, _ tally: inout Tally) throws {
  let faults = try FaultFile(at: world.directory + "/faults")
  let soak = PointSoak(world: world, options: options, faults: faults)
  let steps = try soak.steps()
  var done = 0
  var run = try soak.start()
  var baseline = try run.baseline()
  var turn = 0
  let began = ContinuousClock.now
  for (place, step) in steps.enumerated() where place % options.slice.count == options.slice.index {
    for round in 0..<options.each {
      progress("step \(place + 1) of \(steps.count), kill \(round + 1): \(step.name)")
      // Each victim comes in its turn at each step.
      let wanted = Victim.allCases[(turn + round) % 4]
      if step.place == .start {
        tally.leave("killed at '\(step.name)'", try soak.killAtStart(step))
        tally.kills[.supervisor, default: 0] += 1
        done += 1
        continue
      }
      let outcome = try soak.kill(wanted, at: step, round, run)
      tally.sandboxes += 1
      guard let victim = outcome.victim else {
        tally.leave("step '\(step.name)'", outcome.left)
        continue
      }
      done += 1
      tally.kills[victim, default: 0] += 1
      let what = "\(victim.rawValue) killed at '\(step.name)'"
      tally.leave(what, outcome.left)
      if victim == .supervisor {
        tally.leave(what, try run.remainsOfDead())
        let dead = run
        run = try soak.start()
        tally.leave(what, try dead.remainsAfterNextStart())
        baseline = try run.baseline()
      } else {
        let left = try run.watched.remains(beyond: baseline, within: .seconds(2))
        tally.leave(what, left)
        try run.control(workspace: "agent")
        tally.sandboxes += 1
        if !left.isEmpty { baseline = try run.baseline() }
      }
      let strays = holds(within: .seconds(1)) { world.strays().isEmpty } ? [] : world.strays()
      if !strays.isEmpty { tally.leave(what, ["processes \(strays)"]) }
    }
    turn += 1
  }
  tally.leave("at the supervisor's end", try run.stop())
  tally.rows.append(
    ("kills at \(steps.count) named steps", "\(done) in \(Int((ContinuousClock.now - began).seconds)) s"))
}

private struct PointSoak {
  let world: World
  let options: Options
  let faults: FaultFile

  func start() throws -> SupervisorRun {
    try faults.set()
    return try SupervisorRun(world, programs: options.debug, environment: ["BOTBURROW_FAULTS=\(faults.path)"])
  }

  /// All of them, as a supervisor tells on its way through one sandbox.
  func steps() throws -> [Step] {
    try faults.set("tell *")
    let run = try SupervisorRun(world, programs: options.debug, environment: ["BOTBURROW_FAULTS=\(faults.path)"])
    let client = try run.client(["sleep", "0.2"], workspace: "agent")
    guard try world.wait(for: client, within: .seconds(20)) == .exited(0) else { throw SoakError("no sandbox is made") }
    try faults.set()
    let told = run.text.split(separator: "\n").filter { $0.hasPrefix("fault point: ") }.map {
      // The kind, where there is one: of many files and masks one name.
      String($0.dropFirst(13).split(separator: "\t").last ?? "")
    }
    _ = try run.stop()
    let servesAt = told.firstIndex(of: "accept connection") ?? 0
    var seen: Set<String> = []
    return told.enumerated().compactMap { index, name in
      guard seen.insert(name).inserted else { return nil }
      let turns = told.filter { $0 == name }.count
      let ofRoot = name.hasPrefix("root: ") || Self.ofProfile.contains(name)
      // A launcher is started at the beginning, and then whenever one has died.
      let isEarly = index < servesAt && name != "start launcher" || Self.ofPool.contains(name)
      let place: Step.Place = isEarly ? .start : ofRoot ? .root : .sandbox
      return Step(name: name, turns: turns, place: place)
    }
  }
  /// A supervisor that starts comes there for certain; one that serves, when a sandbox is over or before.
  private static let ofPool: Set = ["make network namespace", "connect link"]
  private static let ofProfile: Set = [
    "read profile", "lay out root", "open root", "unshare root", "leave the old root",
  ]

  /// A supervisor that never comes to serve.
  func killAtStart(_ step: Step) throws -> [String] {
    try faults.set("stop@1 \(step.name)")
    let process = try startBeside()
    guard try world.waitForStop(of: process, or: nil, within: .seconds(20)) else {
      try process.signal(SIGKILL)
      _ = try world.wait(for: process, within: .seconds(5))
      return ["it never comes there"]
    }
    try process.signal(SIGKILL)
    try faults.set()
    guard try world.wait(for: process, within: .seconds(5)) != nil else { return ["the supervisor itself"] }
    unlink(socketBeside)
    let isAlone = holds(within: .seconds(1)) { world.strays().isEmpty }
    return (isAlone ? [] : ["processes \(world.strays())"]) + (try groupAfterNextStart(process.pid))
  }

  private var socketBeside: String { world.directory + "/s2" }

  /// A supervisor beside the one that serves, whose socket stays that one's.
  private func startBeside() throws -> ProcessHandle {
    try world.start(
      options.debug + "/botburrow",
      [
        "botburrow", "supervisor", "--socket", socketBeside, "--profiles", world.directory + "/profiles",
        "--cgroup", "best-effort", "--die-with", "\(getpid())",
      ], environment: ["BOTBURROW_FAULTS=\(faults.path)"])
  }

  /// Nobody could remove the group of one that was killed; the next one that starts does, within a second.
  private func groupAfterNextStart(_ pid: pid_t) throws -> [String] {
    let group = world.group.child("botburrow-\(pid)").path
    if access(group, F_OK) == -1 { return [] }
    let next = try startBeside()
    let serves = holds(within: .seconds(20)) { (try? PacketSocket.connect(to: socketBeside)) != nil }
    let isGone = holds(within: .seconds(1)) { access(group, F_OK) == -1 }
    try next.signal(SIGTERM)
    let hasEnded = try world.wait(for: next, within: .seconds(20)) != nil
    return (serves && hasEnded ? [] : ["the next supervisor doesn't serve or end"]) + (isGone ? [] : ["its group"])
  }

  /// One sandbox, stopped at the step, and one death. A victim that isn't there yet, or no more, gives its turn to the next.
  func kill(
    _ wanted: Victim, at step: Step, _ round: Int, _ run: SupervisorRun
  ) throws -> (victim: Victim?, left: [String]) {
    if step.place == .root { try run.reload() }
    let isImage = step.name == "make image"
    let workspace = isImage ? "image-\(round)" : "agent"
    try faults.set("stop@\(1 + round % step.turns) \(step.name)")
    if step.name == "start launcher" { _ = try run.kill(.launcher, runner: nil) }
    let client = try run.client(["sleep", "0.05"], workspace: workspace)
    defer { if isImage { unlink("\(world.directory)/workspaces/\(workspace).ext4") } }
    guard try world.waitForStop(of: run.process, or: client, within: .seconds(20)) else {
      try faults.set()
      _ = try world.wait(for: client, within: .seconds(20))
      return (nil, ["it never comes there"])
    }
    try faults.set()
    let order = Victim.allCases.firstIndex(of: wanted).map { Victim.allCases[$0...] + Victim.allCases[..<$0] } ?? []
    let victim = try order.first { try run.kill($0, runner: client) }
    if victim != .supervisor { try run.process.signal(SIGCONT) }
    if try world.wait(for: client, within: .seconds(20)) == nil {
      try client.signal(SIGKILL)
      _ = try world.wait(for: client, within: .seconds(5))
      return (victim, ["the client: it hangs"])
    }
    return (victim, [])
  }
}
