import Logging
import Redis
import Synchronization
import Work

/// Delivers what waits in the outbox, whoever's it is. Every runner does; nobody leads.
final class OutboxService: Sendable {
  private let queue: WorkQueue
  private let services: RunnerServices
  /// How often all runners together look.
  private let every: Duration
  private let fleet: Fleet
  private static let shortestPause = Duration.milliseconds(50)
  /// Deliveries at once.
  private let places = Slots(16)
  /// Something was left here that will be due.
  private let left = Nudge()
  private let stopping: Latch
  private let ending: Latch

  /// - Parameters:
  ///   - stopping: no more is taken.
  ///   - ending: what is being delivered is given back.
  init(queue: WorkQueue, services: RunnerServices, every: Duration, fleet: Fleet, stopping: Latch, ending: Latch) {
    self.queue = queue
    self.services = services
    self.every = every
    self.fleet = fleet
    self.stopping = stopping
    self.ending = ending
  }

  /// Something was left in the outbox by this process: it looks when that is due, so that nothing waits for others to look by
  /// chance.
  func lookSoon() { left.give() }

  /// Until `stopping` or the task's cancellation; returns when nothing is being delivered any more.
  func run() async {
    await withDiscardingTaskGroup { group in
      while !stopping.isOpen, !Task.isCancelled {
        let free = places.limit - places.used
        guard free > 0 else {
          await first(of: { await self.places.freed().wait() }, { await self.stopping.wait() })
          continue
        }
        let token = ActivationID.random()
        var pause = every
        let asked = services.time.now()
        let left = self.left.next
        do throws(RedisError) {
          let due = try await queue.claimOutbox(token: token, lease: queue.options.lease, atMost: free)
          for entry in due.entries {
            _ = places.take()
            group.addTask {
              await self.deliver(entry, token, claimed: asked)
              self.places.give()
            }
          }
          if due.entries.count == free { continue }
          pause = fleet.pause(every, longest: 1.5)
          pause = max(Self.shortestPause, min(pause, due.next ?? pause))
        } catch {
          if error.kind == .closed { break }
          services.metrics.increment("botburrow_redis_errors_total", [("operation", "outbox")])
          services.logger.error("queue not reached", metadata: ["operation": "outbox", "error": "\(error)"])
        }
        let wait = pause
        await first(
          of: { try? await self.services.time.sleep(wait) }, { await left.wait() }, { await self.stopping.wait() })
        // Many may be left at once.
        if left.isOpen {
          await first(
            of: { try? await self.services.time.sleep(Self.shortestPause) }, { await self.stopping.wait() })
        }
      }
    }
  }

  /// One turn under a lease that a heartbeat keeps.
  private func deliver(_ entry: OutboxEntry, _ token: String, claimed: ContinuousClock.Instant) async {
    let queue = self.queue
    let heartbeat = Heartbeat(
      lease: queue.options.lease, claimed: claimed,
      beat: { try await queue.step(entry.id, token: token, lease: queue.options.lease) }, time: services.time,
      logger: services.logger)
    await withTaskGroup { group in
      group.addTask { await self.turn(entry, token) }
      group.addTask { await heartbeat.run() }
      group.addTask { await self.ending.wait() }
      await group.next()
      group.cancelAll()
    }
  }

  private func turn(_ entry: OutboxEntry, _ token: String) async {
    let queue = self.queue
    let services = self.services
    let calls = entry.effects.map { HubCall(parsing: $0.body) }
    let delivery = OutboxDelivery(
      hub: services.hub, metrics: services.metrics, logger: services.logger,
      step: { states in
        try await services.patiently("outbox") { () throws(RedisError) in
          try await queue.step(entry.id, token: token, lease: queue.options.lease, states)
        }
      })
    do {
      let turn = try await delivery.turn(calls, entry.effects.map(\.state), answerIsFresh: false)
      guard let end = end(of: turn, entry) else { return }
      let ended = try await services.patiently("outbox") { () throws(RedisError) in
        try await queue.endOutbox(entry.id, token: token, end, turn.states)
      }
      if ended != .stale { tell(turn, ended, entry, calls) }
      if case .later = turn.end { lookSoon() }
    } catch {
      // Its lease ends, and another takes it up where this one stood.
      services.logger.warning("delivery not noted", metadata: metadata(entry).merging(["error": "\(error)"]) { $1 })
    }
  }

  private func end(of turn: DeliveryTurn, _ entry: OutboxEntry) -> OutboxEnd? {
    switch turn.end {
    case .delivered: .delivered
    case .refused(let reason): .refused(reason: reason)
    case .later(let reason, let asked):
      .later(
        reason: reason, after: OutboxDelivery.wait(tries: entry.tries, asked: asked, chance: Double.random(in: 0...1)))
    case .stale: nil
    }
  }

  private func tell(_ turn: DeliveryTurn, _ ended: OutboxEnded, _ entry: OutboxEntry, _ calls: [HubCall?]) {
    var line = metadata(entry)
    switch turn.end {
    case .delivered:
      line["waited"] = "\(max(0, services.time.wallClock() - entry.created))"
      switch turn.answer {
      case .now(let id): line["comment_id"] = "\(id ?? "unknown")"
      case .found(let id): line["comment_id"] = "\(id)"
      case .earlier, nil: break
      }
      services.logger.notice("delivered from the outbox", metadata: line)
    case .refused(let reason):
      count(turn, calls) { $0 == .refused }
      line["error"] = "\(reason)"
      services.logger.error("refused by the Hub, kept as a dead letter", metadata: line)
    case .later(let reason, _) where ended == .dead:
      count(turn, calls) { $0 != .sent }
      line["error"] = "\(reason)"
      services.logger.error(
        "not taken by the Hub for as long as it is kept, now a dead letter; 'botburrow queue retry' sends it again",
        metadata: line)
    case .later, .stale: break
    }
  }

  private func count(_ turn: DeliveryTurn, _ calls: [HubCall?], where isLost: (OutboxEffect.State) -> Bool) {
    for (index, state) in turn.states where isLost(state) {
      services.metrics.increment(
        "botburrow_outbox_refused_total", [("effect", calls[index]?.kind.rawValue ?? "unreadable")])
    }
  }

  private func metadata(_ entry: OutboxEntry) -> Logger.Metadata {
    ["activation_id": "\(entry.activationID)", "agent_id": "\(entry.agentID)", "tries": "\(entry.tries)"]
  }
}
