import ArgumentParser
import JSON
import Work

/// `botburrow runners`
struct RunnersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runners",
    abstract: "List the runner processes of all hosts.",
    discussion: """
      Each runner says every 7 s that it is there. STATE is serving (takes work), paused ('botburrow \
      queue resume --runner ID' has it take work again), stopping (was told to end, and brings to an \
      end what it has), or lost: it was not heard of for 20 s and did not say goodbye. Lost ones are shown for ten minutes; what \
      they ran is put back by itself.

      A notification runner serves its list, an exploration runner its own, a hybrid one all three.

      Exit code: 0; 1 where Redis can't be asked.
      Example: botburrow runners --json | jq -r '.[] | select(.state == "lost").host'
      """)
  @OptionGroup var options: QueueOptions

  func run() throws {
    let list = try options.ask { try await $0.runners() }
    try options.show(.array(list.runners.map(FleetText.json))) {
      if list.runners.isEmpty {
        return print("no runner is there; start one: botburrow runner --pool notification")
      }
      Table.show(FleetText.rows(list))
    }
  }
}

/// What `runners` and `activations` say.
enum FleetText {
  static func rows(_ list: RunnerList) -> [[String]] {
    [["ID", "HOST", "POOL", "SLOTS", "RUNNING", "VERSION", "STARTED", "LAST SEEN", "STATE"]]
      + list.runners.map { runner in
        let identity = runner.identity
        return [
          QueueText.safe(identity.id), word(identity.host), identity.pool.rawValue, "\(identity.slots)",
          "\(runner.running)", word(identity.version), QueueText.time(runner.started),
          "\(age(runner.lastSeen, list.now)) ago", runner.state.rawValue,
        ]
      }
  }

  static func json(_ runner: RunnerEntry) -> JSONValue {
    let identity = runner.identity
    return [
      "id": .string(identity.id), "host": .string(identity.host), "pid": .integer(Int64(identity.pid)),
      "pool": .string(identity.pool.rawValue), "serves": .array(identity.pool.served.map { .string($0.rawValue) }),
      "slots": .integer(Int64(identity.slots)), "running": .integer(Int64(runner.running)),
      "version": .string(identity.version), "started": .string(QueueText.time(runner.started)),
      "last_seen": .string(QueueText.time(runner.lastSeen)), "state": .string(runner.state.rawValue),
    ]
  }

  static func rows(_ list: RunningList) -> [[String]] {
    [["ID", "AGENT", "TASK", "POOL", "RUNNER", "STEP", "SINCE", "TOKENS"]]
      + list.activations.map { activation in
        [
          QueueText.safe(activation.id), QueueText.safe(activation.agentID), activation.task.rawValue,
          activation.pool?.rawValue ?? "-", QueueText.safe(activation.runner), step(activation.step),
          age(activation.stepSince, list.now), "\(activation.tokens)",
        ]
      }
  }

  static func json(_ activation: RunningActivation) -> [String: JSONValue] {
    [
      "id": .string(activation.id), "agent_id": .string(activation.agentID),
      "task_type": .string(activation.task.rawValue), "pool": activation.pool.map { .string($0.rawValue) } ?? .null,
      "runner": .string(activation.runner), "attempt": .integer(Int64(activation.attempt)),
      "claimed": .string(QueueText.time(activation.claimed)),
      "lease_until": .string(QueueText.time(activation.leaseEnd)),
      "step": activation.step.map { .string($0.rawValue) } ?? .null,
      "step_since": .string(QueueText.time(activation.stepSince)),
      "last_activity": .string(QueueText.time(activation.lastActive)), "tokens": .integer(Int64(activation.tokens)),
      "model_calls": .integer(Int64(activation.modelCalls)),
      "time_limit_seconds": activation.timeLimit.map { .number($0) } ?? .null,
    ]
  }

  /// One line of `activations --follow`, without its time.
  /// - Parameters:
  ///   - state: what became of one that ended, where that is known.
  static func line(_ change: RunningChange, now: Double, state: WorkState?) -> String {
    let activation = change.activation
    let what: String
    switch change {
    case .began:
      what = "\(activation.task.rawValue) task of \(activation.pool?.rawValue ?? "-"), \(activation.runner)"
    case .step(_, let from): what = "\(step(from)) → \(step(activation.step))"
    case .tokens: what = "\(activation.tokens) tokens, \(activation.modelCalls) model calls"
    case .ended:
      what = "\(state?.rawValue ?? "gone") after \(age(activation.claimed, now)), \(activation.tokens) tokens"
    }
    return "\(change.word.padded(to: 6))  \(activation.id)  \(activation.agentID)  \(what)"
  }

  static func json(_ change: RunningChange, now: Double, state: WorkState?) -> JSONValue {
    var members = json(change.activation)
    members["event"] = .string(change.word)
    members["time"] = .string(QueueText.time(now))
    if case .step(_, let from) = change { members["from"] = from.map { .string($0.rawValue) } ?? .null }
    if case .ended = change { members["state"] = state.map { .string($0.rawValue) } ?? .null }
    return .object(members)
  }

  private static func step(_ step: ActivationStep?) -> String { step?.rawValue ?? "claimed" }
  private static func word(_ text: String) -> String { text.isEmpty ? "-" : QueueText.safe(text) }

  /// How long ago, in whole seconds or minutes.
  private static func age(_ moment: Double, _ now: Double) -> String {
    let seconds = Int(max(0, now - moment))
    return seconds < 600 ? "\(seconds) s" : "\(seconds / 60) min"
  }
}

extension RunningChange {
  /// Of what, as far as it is known now.
  var activation: RunningActivation {
    switch self {
    case .began(let activation), .step(let activation, _), .tokens(let activation), .ended(let activation): activation
    }
  }

  fileprivate var word: String {
    switch self {
    case .began: "began"
    case .step: "step"
    case .tokens: "tokens"
    case .ended: "ended"
    }
  }
}
