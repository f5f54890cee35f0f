import ArgumentParser
import JSON
import Work

/// `botburrow queue pause`
struct QueuePause: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Keep work from being claimed, until 'resume'.",
    discussion: """
      What runs goes on to its end, and the coordinator goes on queueing. Pausing what is paused changes nothing. 'botburrow queue \
      status' and the metrics botburrow_paused, botburrow_paused_agents and botburrow_paused_runners show it.

      An agent's work is parked beside it, whichever pool it is in, and it doesn't explore; others are served. A runner goes on \
      delivering answers, and claims nothing. Its id ends with its process: one that is started again is not paused, and an id that \
      did not ask for work for a week is forgotten.

      Examples:
        botburrow queue pause                        the whole system
        botburrow queue pause exploration
        botburrow queue pause --agent chatterbox
        botburrow queue pause --runner host-1-hybrid-4711-9x2
      """)
  @OptionGroup var targets: QueueTargets
  @OptionGroup var options: QueueOptions

  func run() throws {
    let scope = targets.scope
    let changed = try options.ask { Set(try await $0.pause(scope)) }
    try options.show(["paused": scope.json, "changed": .integer(Int64(changed.count))]) {
      for (name, words) in scope.named { print("\(words): paused\(changed.contains(name) ? "" : " already")") }
    }
  }
}

/// `botburrow queue resume`
struct QueueResume: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Let work be claimed again after 'pause' or 'drain'.",
    discussion: """
      Pools, agents, runners and the whole system are paused and resumed each by themselves; --all resumes whatever is paused. \
      Every runner that waits for it is woken at once.

      --agent also ends the rest of an agent that failed again and again ('botburrow queue status' shows them): its failures are \
      forgotten, and its work goes on.
      """)
  @Flag(help: "The whole system, every pool, agent and runner.") var all = false
  @OptionGroup var targets: QueueTargets
  @OptionGroup var options: QueueOptions

  func validate() throws {
    if all && targets.scope != .system { throw ValidationError("give --all, or pools, or --agent, or --runner") }
  }

  func run() throws {
    if all { return try resumeAll() }
    let scope = targets.scope
    let (changed, rested, status) = try options.ask { queue in
      var rested: Set<String> = []
      if case .agents(let ids) = scope {
        // First, so that what was parked goes on once, and not before the agent does.
        for id in ids where try await queue.endRest(of: id) { rested.insert(id) }
      }
      return (Set(try await queue.resume(scope)), rested, try await queue.status())
    }
    var answer: [String: JSONValue] = ["resumed": scope.json, "changed": .integer(Int64(changed.count))]
    if case .agents = scope { answer["rests_ended"] = .array(rested.sorted().map { .string($0) }) }
    try options.show(.object(answer)) {
      for (name, words) in scope.named {
        let rest = rested.contains(name) ? "; its failures are forgotten, it rests no more" : ""
        print("\(words): \(changed.contains(name) ? "resumed" : "was not paused")\(rest)")
      }
      // Whoever resumed one thing should know what keeps work still.
      if status.isPaused { return print("the whole system is still paused: botburrow queue resume") }
      let still = Pool.allCases.filter { status.pools[$0]?.isPaused == true }.map(\.rawValue)
      if !still.isEmpty { print("still paused: botburrow queue resume \(still.joined(separator: " "))") }
    }
  }

  private func resumeAll() throws {
    let changed = try options.ask { try await $0.resumeAll() }
    try options.show(["resumed": "everything", "changed": .integer(Int64(changed))]) {
      print(changed == 0 ? "nothing was paused" : "everything: resumed, \(changed) pauses ended")
    }
  }
}

/// `botburrow queue drain`
struct QueueDrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain", abstract: "Pause, and wait until nothing of it runs any more.",
    discussion: """
      It stays paused afterwards, also after the time limit: 'botburrow queue resume' lets work be claimed again.

      Exit code: 0 nothing runs; 1 the time limit came first.

      Examples:
        botburrow queue drain hybrid --timeout 600
        botburrow queue drain --runner host-1-hybrid-4711-9x2
      """)
  @Option(help: "Seconds to wait; 0 looks once.") var timeout = 3600
  @OptionGroup var targets: QueueTargets
  @OptionGroup var options: QueueOptions

  func validate() throws {
    guard (0...1_000_000).contains(timeout) else { throw ValidationError("--timeout is from 0 to 1000000 seconds") }
  }

  func run() throws {
    let (scope, limit, progress) = (targets.scope, timeout, ProgressLine(isWanted: !options.json))
    let left = try options.ask { queue in
      defer { progress.end() }
      try await queue.pause(scope)
      let started = ContinuousClock.now
      while true {
        let left = try await queue.running(scope)
        let waited = started.duration(to: .now)
        if left == 0 || waited >= .seconds(limit) { return left }
        progress.show("\(left) activations still run; waited \(waited.components.seconds) s of \(limit)")
        // An operator's wait: no event says that all of them ended.
        try await Task.sleep(for: .milliseconds(500))
      }
    }
    try options.show(["paused": scope.json, "running": .integer(Int64(left))]) {
      if left == 0 { print("\(scope.words): paused, nothing runs") }
    }
    if left > 0 {
      complain("\(left) activations still run, and no new ones are claimed; 'botburrow queue list --state leased'")
      throw ExitCode.failure
    }
  }
}

extension QueueText {
  /// What agents and runners an operator paused.
  static func pauses(_ status: WorkStatus) -> [String] {
    func lines(_ what: String, _ count: Int, _ first: [WorkStatus.Paused], _ when: String) -> [String] {
      guard count > 0 else { return [] }
      return ["paused \(what) \(count)"] + first.map { "  \(safe($0.id)): \(when) \(time($0.time))" }
        + (count > first.count ? ["  and \(count - first.count) more"] : [])
    }
    return lines("agents", status.pausedAgents, status.firstPausedAgents, "since")
      + lines("runners", status.pausedRunners, status.firstPausedRunners, "last seen")
  }
}
