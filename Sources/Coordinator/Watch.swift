import Configuration
import Logging
import Redis
import Work

extension CoordinatorService {
  /// The monitor. Every coordinator looks and shows the same figures, which are Redis's, so that they are there while nobody
  /// leads; the leader alone tells what is news, so that it is told once.
  func watch() async {
    metrics.increment("botburrow_lost_runners_total", by: 0)
    while !Task.isCancelled {
      do throws(RedisError) {
        let status = try await queue.status()
        show(status)
        let fleet = try await self.fleet(status)
        let found = alerts(fleet, stuckAfter: configuration.coordinator.stuckAfter / .seconds(1))
        show(fleet, found)
        if let fence = leader.fence { try await tell(found, fence) }
      } catch {
        redisFailed(error)
      }
      await pause(timing.watchInterval)
    }
  }

  private func fleet(_ status: WorkStatus) async throws(RedisError) -> Fleet {
    let runners = try await queue.runners()
    let running = try await queue.running()
    let open = status.isPaused ? [:] : status.pools.filter { !$0.value.isPaused }
    return Fleet(
      now: running.now, runners: runners.runners, activations: running.activations,
      waiting: open.mapValues(\.queued))
  }

  private func show(_ status: WorkStatus) {
    for (pool, part) in status.pools {
      metrics.set("botburrow_runner_queue_depth", [("pool", pool.rawValue)], to: Double(part.queued))
      metrics.set("botburrow_leased", [("pool", pool.rawValue)], to: Double(part.leased))
      metrics.set(
        "botburrow_paused", [("pool", pool.rawValue)], to: status.isPaused || part.isPaused ? 1 : 0)
      let slots = (configuration.runners[pool.rawValue] ?? Configuration.RunnerPool()).maxActivations
      metrics.set("botburrow_wanted_runners", [("pool", pool.rawValue)], to: Double(part.wantedRunners(slots: slots)))
    }
    metrics.set("botburrow_paused_agents", to: Double(status.pausedAgents))
    metrics.set("botburrow_paused_runners", to: Double(status.pausedRunners))
    metrics.set("botburrow_parked", to: Double(status.parked))
    metrics.set("botburrow_resting_agents", to: Double(status.resting))
    metrics.set("botburrow_trial_agents", to: Double(status.onTrial))
    metrics.set("botburrow_retries", to: Double(status.retries))
    metrics.set("botburrow_dead_letters", to: Double(status.dead))
    metrics.set("botburrow_outbox_waiting", to: Double(status.outbox))
    metrics.set("botburrow_outbox_oldest_seconds", to: status.outboxAge)
    metrics.set("botburrow_staleness_debt", to: Double(status.stalenessDebt))
  }

  private func show(_ fleet: Fleet, _ found: [Alert]) {
    let unserved = Set(found.filter { $0.kind == .unserved }.map(\.subject))
    for pool in Pool.allCases {
      let label = [("pool", pool.rawValue)]
      let there = fleet.runners.count { $0.identity.pool == pool && $0.state == .serving }
      metrics.set("botburrow_runners", label, to: Double(there))
      metrics.set("botburrow_unserved_pool", label, to: unserved.contains(pool.rawValue) ? 1 : 0)
    }
    metrics.set("botburrow_stuck_activations", to: Double(found.count { $0.kind == .stuck }))
    metrics.set("botburrow_slow_activations", to: Double(found.count { $0.kind == .slow }))
  }

  private func tell(_ found: [Alert], _ fence: Fence) async throws(RedisError) {
    let news = try await queue.noteAlerts(found.map { ($0.key, $0.patience) }, fence: fence)
    // Another leads, and tells it.
    guard let news else { return }
    let known = Dictionary(found.map { ($0.key, $0) }) { first, _ in first }
    for alert in news.begun.compactMap({ known[$0] }) {
      if alert.kind == .lost { metrics.increment("botburrow_lost_runners_total") }
      var metadata = alert.details.mapValues { Logger.MetadataValue.string($0) }
      metadata[alert.kind.subjectName] = "\(alert.subject)"
      logger.warning(alert.kind.beginning, metadata: metadata)
    }
    for over in news.over {
      let parts = over.key.split(separator: ":", maxSplits: 1).map(String.init)
      // Of a later version, perhaps.
      guard parts.count == 2, let kind = Alert.Kind(rawValue: parts[0]) else { continue }
      logger.notice(kind.end, metadata: [kind.subjectName: "\(parts[1])", "lasted": "\(Int(over.seconds))"])
    }
  }
}

extension Alert.Kind {
  /// What the log calls its subject.
  fileprivate var subjectName: String {
    switch self {
    case .lost: "runner"
    case .stuck, .slow: "activation_id"
    case .unserved: "pool"
    }
  }

  fileprivate var beginning: Logger.Message {
    switch self {
    case .lost: "a runner was lost; look at its host, its work is put back"
    case .stuck: "an activation makes no progress"
    case .slow: "an activation has used most of its time"
    case .unserved: "work waits in a list that no runner serves; start a runner of this pool or a hybrid one"
    }
  }

  fileprivate var end: Logger.Message {
    switch self {
    case .lost: "a lost runner is back, or was forgotten"
    case .stuck: "an activation makes progress again, or is over"
    case .slow: "a slow activation is over"
    case .unserved: "a list is served again, or is empty"
    }
  }
}
