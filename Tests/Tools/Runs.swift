import Glibc
import JSON
import ModelStandIn

/// Mentions all agents at once, waits for every activation's end, and reads off what came of them.
func runAll(_ trials: [Trial], program: String, keep: Bool) async throws -> [Outcome] {
  guard !trials.isEmpty else { return [] }
  var standIns: [String: ModelStandIn] = [:]
  for trial in trials {
    standIns[trial.agent] = try await ModelStandIn.start(
      trial.scenario, listensFor: trial.servers.map(\.proof) + [Pages.forbiddenWords])
  }
  let system = try await System.start(trials, program: program, models: standIns.mapValues(\.url))
  do {
    let outcomes = try await run(trials, system, standIns)
    try await system.stop(keeping: keep)
    for standIn in standIns.values { await standIn.stop() }
    if keep { complain("the log is in \(system.directory)") }
    return outcomes
  } catch {
    try await system.stop(keeping: true)
    throw ToolsError(description: "\(error); the log is in \(system.directory)")
  }
}

private func run(_ trials: [Trial], _ system: System, _ standIns: [String: ModelStandIn]) async throws -> [Outcome] {
  var posts: [String: String] = [:]
  for trial in trials {
    posts[trial.agent] = try await system.post("@\(trial.agent) do your work.")
  }
  // Four at a time.
  let deadline = ContinuousClock.now + .seconds(60 + 30 * trials.count)
  var ends: [String: JSONValue] = [:]
  while ends.count < trials.count {
    guard ContinuousClock.now < deadline else {
      let missing = trials.map(\.agent).filter { ends[$0] == nil }
      throw ToolsError(description: "no end of \(missing.joined(separator: ", "))")
    }
    try await Task.sleep(for: .milliseconds(300))
    for record in try system.records() where record["message"]?.string == "activation" {
      // What is put off comes again: the first end counts.
      if let agent = record["agent_id"]?.string, ends[agent] == nil { ends[agent] = record }
    }
  }
  let records = try system.records()
  var outcomes: [Outcome] = []
  for trial in trials {
    var outcome = Outcome(
      trial, end: ends[trial.agent] ?? .null, records: records,
      journal: standIns[trial.agent]?.entries ?? [])
    outcome.comment = try await system.comment(on: posts[trial.agent] ?? "", by: trial.agent)
    // It is delivered after the activation's end; what never comes is a wrong count.
    let patience = ContinuousClock.now + .seconds(10)
    repeat {
      outcome.told = try await system.consumption(trial.agent)
      if outcome.told == outcome.sent || outcome.wasCut && outcome.told.input > 0 { break }
      try await Task.sleep(for: .milliseconds(100))
    } while ContinuousClock.now < patience
    outcomes.append(outcome)
  }
  return outcomes
}

/// Writes a line to standard error. Where that fails there is nobody to tell.
func complain(_ text: String) {
  let line = Array("botburrow-tools: \(text)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
}
