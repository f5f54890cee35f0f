import Gateway
import Hub
import Logging
import Redis
import Work

/// The outbox of one activation under its lease: what the Hub is to be told is kept before it is told.
struct LeasedOutbox: Sendable {
  let queue: WorkQueue
  let lease: Lease
  let services: RunnerServices

  /// How an activation's outbox stands at its end.
  enum End: Sendable, Hashable {
    /// The Hub has everything.
    case delivered
    /// The rest is left to any runner, from then on.
    case waiting(Duration)
  }

  var metadata: Logger.Metadata {
    ["activation_id": "\(lease.activationID)", "agent_id": "\(lease.item.agentID)", "attempt": "\(lease.attempt)"]
  }

  /// What is known before it runs.
  func view() async throws(ActivationFailure) -> OutboxView {
    try await asking { () throws(RedisError) in
      try await queue.outboxView(activationID: lease.activationID, agentID: lease.item.agentID)
    }
  }

  /// Keeps these calls, then makes them, one turn.
  /// - Throws: a failure of status `lost` where the lease is somebody else's; nothing was sent then.
  func deliver(_ calls: [HubCall], postID: String?, marks: [String]) async throws(ActivationFailure) -> DeliveryTurn {
    let states: [OutboxEffect.State] = calls.map { $0.kind == .comment ? .sending : .ready }
    let entry = OutboxEntry(
      id: lease.activationID, activationID: lease.activationID, agentID: lease.item.agentID, postID: postID,
      notificationIDs: marks, effects: zip(calls, states).map { OutboxEffect(body: $0.encoded, state: $1) })
    switch try await asking({ () throws(RedisError) in try await queue.store(entry, lease: lease) }) {
    case .stored: break
    case .earlier: return DeliveryTurn(end: .later("an earlier answer is kept", after: nil), states: [:])
    case .stale:
      throw ActivationFailure("the lease went to another runner before the answer was posted", status: .lost)
    }
    let delivery = OutboxDelivery(
      hub: services.hub, metrics: services.metrics, logger: services.logger,
      step: { states in try await self.step(states) })
    let turn: DeliveryTurn
    do {
      turn = try await inTime { try await delivery.turn(calls, states, answerIsFresh: true) }
    } catch let failure as ActivationFailure {
      throw failure
    } catch {
      throw ActivationFailure("the outbox can't be written: \(error)")
    }
    switch turn.end {
    case .delivered: break
    case .stale: throw ActivationFailure.lost
    // Whoever delivers the rest asks again for what was refused, and keeps it with the reason.
    case .later, .refused: _ = try await step(turn.states.mapValues { $0 == .refused ? .ready : $0 })
    }
    return turn
  }

  /// A place is not held for a Hub that is slow to answer: whoever delivers has the time.
  private func inTime(_ body: @escaping @Sendable () async throws -> DeliveryTurn) async throws -> DeliveryTurn {
    let (time, limit) = (services.time, services.policy.deliveryPatience)
    return try await withThrowingTaskGroup(of: DeliveryTurn?.self) { group in
      group.addTask { try await body() }
      group.addTask {
        // Cancelled or over, the turn is given up; it says itself how far it came.
        try? await time.sleep(limit)
        return nil
      }
      defer { group.cancelAll() }
      // Given up, its turn ends as after any call without an answer.
      while let first = try await group.next() {
        if let first { return first }
        group.cancelAll()
      }
      throw CancellationError()
    }
  }

  /// Keeps what an attempt used that came to nothing; whoever has the lease now, it was used.
  func keep(_ use: HubCall) async throws(ActivationFailure) {
    let entry = OutboxEntry(
      id: "\(lease.activationID):use:\(lease.token)", activationID: lease.activationID, agentID: lease.item.agentID,
      postID: nil, notificationIDs: [], effects: [OutboxEffect(body: use.encoded)])
    try await asking { () throws(RedisError) in try await queue.storeFact(entry, lease: lease) }
  }

  private func step(_ states: [Int: OutboxEffect.State]) async throws(ActivationFailure) -> Bool {
    try await asking { () throws(RedisError) in
      try await queue.step(lease.activationID, token: lease.token, lease: queue.options.lease, states)
    }
  }

  /// Asks until the queue answers: as long as the lease may be ours, for the heartbeat cancels this task when it isn't.
  private func asking<Value>(
    _ call: () async throws(RedisError) -> Value
  ) async throws(ActivationFailure) -> Value {
    do {
      return try await services.patiently("outbox", call)
    } catch  where Task.isCancelled {
      throw ActivationFailure.cancelled
    } catch {
      throw ActivationFailure("the outbox can't be written: \(error)")
    }
  }
}

extension RunnerServices {
  /// Makes a call to the queue again while it is away, lets nobody in or can't write, until the task is cancelled.
  func patiently<Value>(
    _ operation: String, _ call: () async throws(RedisError) -> Value
  ) async throws(RedisError) -> Value {
    while true {
      do throws(RedisError) {
        return try await call()
      } catch {
        guard error.isWorthPatience, !Task.isCancelled else { throw error }
        metrics.increment("botburrow_redis_errors_total", [("operation", operation)])
        do { try await time.sleep(.milliseconds(200)) } catch let interruption {
          // Cancelled: the last answer stands.
          logger.debug("gave up waiting for the queue", metadata: ["error": "\(interruption)"])
          throw error
        }
      }
    }
  }
}

/// The ledger of what the agent makes by itself, shared by all runs of its activation.
extension LeasedOutbox: EffectKeeper {
  func begin(_ key: String, _ effect: KeptEffect) async -> EffectBeginning {
    do throws(ActivationFailure) {
      let beginning = try await asking { () throws(RedisError) in
        try await queue.beginEffect(key, body: effect.encoded, lease: lease)
      }
      switch beginning {
      case .new: return .new
      case .known(let record):
        // What can't be read is there all the same.
        let kept = KeptEffect(parsing: record.body) ?? effect
        return record.isMade ? .made(kept) : .inDoubt(kept)
      case .stale: return .refused(Self.notOurs)
      case .full: return .refused("this activation has made as much as it may; end now")
      }
    } catch {
      failed(error)
      return .refused(Self.notKept)
    }
  }

  func resend(_ key: String, _ effect: KeptEffect) async -> String? {
    do throws(ActivationFailure) {
      let isOurs = try await asking { () throws(RedisError) in
        try await queue.resendEffect(key, body: effect.encoded, lease: lease)
      }
      return isOurs ? nil : Self.notOurs
    } catch {
      failed(error)
      return Self.notKept
    }
  }

  func made(_ key: String, _ effect: KeptEffect) async {
    do throws(ActivationFailure) {
      try await asking { () throws(RedisError) in try await queue.effectMade(key, body: effect.encoded, lease: lease) }
    } catch {
      // It stays noted as sent, and is looked for in the Hub by whoever makes it again.
      failed(error)
    }
  }

  func free(_ key: String) async {
    do throws(ActivationFailure) {
      try await asking { () throws(RedisError) in try await queue.freeEffect(key, lease: lease) }
    } catch {
      failed(error)
    }
  }

  private static let notOurs = "another runner has this activation now; end"
  private static let notKept = "the runner can't keep a note of it now; the same call may be repeated safely"

  private func failed(_ error: ActivationFailure) {
    services.logger.warning("effect not noted", metadata: metadata.merging(["error": "\(error)"]) { $1 })
  }
}

/// What earlier runs and other activations of the same agent mean for one that is about to run. Pure.
enum Beforehand {
  /// Answers of one agent that may wait for the Hub at a time.
  static let agentLimit = 8
  /// Entries that may wait in the whole system: while the Hub takes nothing, nothing more is made.
  static let systemLimit = 100_000

  /// What earlier runs of this activation are known to have made; what was sent without an answer counts where it stands in
  /// the thread.
  static func effects(
    _ made: [String: LedgerRecord], in thread: Post?, by agentID: String
  ) -> [ActivationLedger.Effect] {
    made.values.compactMap { record in
      guard var kept = KeptEffect(parsing: record.body) else { return nil }
      if !record.isMade {
        guard let thread, let found = kept.found(in: thread, by: agentID) else { return nil }
        kept.effect.id = found.id
      }
      return kept.effect
    }
  }

  /// Whether they are the answer: a run that comes after them would say it twice.
  static func isAnswered(_ effects: [ActivationLedger.Effect], task: ActivationTask, thread: Post?) -> Bool {
    if task.type == .exploration { return effects.count >= Exploration.contributionLimit }
    guard let postID = thread?.id ?? task.postID else { return false }
    return effects.contains { $0.kind == .comment && $0.postID == postID }
  }

  /// Why it has to wait for answers that the Hub has not taken yet; nil: it doesn't.
  static func wait(_ view: OutboxView, task: ActivationTask, thread: Post?) -> ActivationFailure? {
    let postID = thread?.id ?? task.postID
    let reason: String? =
      if view.waiting >= systemLimit {
        "the outbox is full: \(view.waiting) entries wait for the Hub"
      } else if view.pending.count >= agentLimit {
        "\(view.pending.count) answers of this agent wait for the Hub"
      } else if let postID, view.pending.values.contains(postID) {
        // It would not see its own last words, nor would they count.
        "the agent's last answer in thread \(postID) waits for the Hub"
      } else if task.type == .exploration, !view.pending.isEmpty {
        "an answer of this agent waits for the Hub"
      } else {
        nil
      }
    return reason.map { ActivationFailure($0, remedy: .deferred(.seconds(2))) }
  }
}
