import ArgumentParser
import JSON
import Work

/// `botburrow queue pause`
struct QueuePause: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Keep work from being claimed, until 'resume'.",
    discussion: """
      What runs goes on to its end, and the coordinator goes on queueing. 'botburrow queue status' and the metric \
      botburrow_paused show it. Pausing what is paused changes nothing.
      """)
  @Argument(help: "notification, exploration, hybrid; none: the whole system.") var pools: [Pool] = []
  @OptionGroup var options: QueueOptions

  func run() throws {
    let pools = pools
    let changed = try options.ask { try await $0.pause(pools) }
    try options.show(["paused": QueueText.names(pools), "changed": .integer(Int64(changed))]) {
      print("\(QueueText.words(pools)): paused\(changed == 0 ? " already" : "")")
    }
  }
}

/// `botburrow queue resume`
struct QueueResume: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Let work be claimed again after 'pause' or 'drain'.",
    discussion: """
      Each pool and the whole system are paused and resumed by themselves; --all resumes whatever is paused. Waiting \
      runners are woken; the last of them looks within 30 s.

      --agent ends the rest of an agent that failed again and again ('botburrow queue status' shows them): its failures are \
      forgotten, and its work goes on.
      """)
  @Argument(help: "notification, exploration, hybrid; none: the whole system.") var pools: [Pool] = []
  @Flag(help: "The whole system and every pool.") var all = false
  @Option(help: "An agent that rests.") var agent: String?
  @OptionGroup var options: QueueOptions

  func validate() throws {
    if all && !pools.isEmpty { throw ValidationError("give pools or --all") }
    if agent != nil, all || !pools.isEmpty { throw ValidationError("give --agent, or pools, or --all") }
  }

  private func resume(agent: String) throws {
    let ended = try options.ask { try await $0.endRest(of: agent) }
    try options.show(["resumed": .string(agent), "changed": .integer(ended ? 1 : 0)]) {
      print("\(QueueText.safe(agent)): \(ended ? "rests no more" : "had no failures")")
    }
  }

  func run() throws {
    if let agent { return try resume(agent: agent) }
    let (pools, all) = (pools, all)
    let (changed, status) = try options.ask { queue in
      var changed = try await queue.resume(pools)
      if all { changed += try await queue.resume(Pool.allCases) }
      return (changed, try await queue.status())
    }
    try options.show(["resumed": QueueText.names(pools), "changed": .integer(Int64(changed))]) {
      print("\(QueueText.words(pools)): \(changed == 0 ? "was not paused" : "resumed")")
      // Whoever resumed one thing should know what keeps work still.
      if status.isPaused { return print("the whole system is still paused: botburrow queue resume") }
      let still = Pool.allCases.filter { status.pools[$0]?.isPaused == true }.map(\.rawValue)
      if !still.isEmpty { print("still paused: botburrow queue resume \(still.joined(separator: " "))") }
    }
  }
}

/// `botburrow queue drain`
struct QueueDrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain", abstract: "Pause, and wait until nothing runs any more.",
    discussion: """
      It stays paused afterwards, also after the time limit: 'botburrow queue resume' lets work be claimed again.

      Exit code: 0 nothing runs; 1 the time limit came first.
      Example: botburrow queue drain hybrid --timeout 600
      """)
  @Argument(help: "notification, exploration, hybrid; none: the whole system.") var pools: [Pool] = []
  @Option(help: "Seconds to wait; 0 looks once.") var timeout = 3600
  @OptionGroup var options: QueueOptions

  func validate() throws {
    guard (0...1_000_000).contains(timeout) else { throw ValidationError("--timeout is from 0 to 1000000 seconds") }
  }

  func run() throws {
    let (pools, limit) = (pools, Duration.seconds(timeout))
    let left = try options.ask { queue in
      try await queue.pause(pools)
      let deadline = ContinuousClock.now + limit
      while true {
        let status = try await queue.status()
        let left = pools.isEmpty ? status.leased : Set(pools).reduce(0) { $0 + (status.pools[$1]?.leased ?? 0) }
        if left == 0 || ContinuousClock.now >= deadline { return left }
        // An operator's wait: no event says that all of them ended.
        try await Task.sleep(for: .milliseconds(500))
      }
    }
    try options.show(["paused": QueueText.names(pools), "running": .integer(Int64(left))]) {
      if left == 0 { print("\(QueueText.words(pools)): paused, nothing runs") }
    }
    if left > 0 {
      complain("\(left) activations still run, and no new ones are claimed; 'botburrow queue list --state leased'")
      throw ExitCode.failure
    }
  }
}

extension QueueText {
  static func words(_ pools: [Pool]) -> String {
    pools.isEmpty ? "the whole system" : pools.map(\.rawValue).joined(separator: ", ")
  }
  static func names(_ pools: [Pool]) -> JSONValue {
    pools.isEmpty ? "all" : .array(pools.map { .string($0.rawValue) })
  }
}
