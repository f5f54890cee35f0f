import Agents
import Hub
import Logging
import Redis
import Work

extension CoordinatorService {
  /// One poll: read what is unread, decide, queue, mark read what nobody will answer.
  /// - Throws: `HubError`, `RedisError`, `Deposed`.
  func poll(_ fence: Fence) async throws {
    let inbox = try await hub.unreadNotifications()
    report(inbox.unreadable)
    let states = try await queue.notificationStates(inbox.notifications.map(\.id))
    var agents: [String: KnownAgent] = [:]
    for notification in inbox.notifications where agents[notification.agentID] == nil {
      agents[notification.agentID] = await cache.agent(notification.agentID)
    }
    warnOfUnknown(agents)

    var answers: [(notification: HubNotification, priority: WorkItem.Priority)] = []
    var read: [String] = []
    for notification in inbox.notifications {
      let decision = decide(
        notification, agent: agents[notification.agentID] ?? .unknown, state: states[notification.id])
      switch decision {
      case .answer(let priority): answers.append((notification, priority))
      case .markRead: read.append(notification.id)
      case .leave: continue
      }
      metrics.increment("botburrow_notifications_total", [("decision", decision.word)])
    }
    for item in workItems(answers, now: now(), makeID: makeID) {
      try await enqueue(item, pool: assign(.notification, runners: configuration.runners), fence: fence)
    }
    state.withLock { $0.lastPollAt = now() }
    for start in stride(from: 0, to: read.count, by: 100) {
      let ids = Array(read[start..<min(start + 100, read.count)])
      try await hub.markRead(ids, idempotencyKey: "read-\(fingerprint(ids))")
    }
  }

  /// - Returns: whether it was queued; false: it is known already.
  @discardableResult
  func enqueue(_ item: WorkItem, pool: Pool, fence: Fence, nextDue: Double? = nil) async throws -> Bool {
    switch try await queue.enqueue(item, pool: pool, fence: fence, nextDue: nextDue) {
    case .duplicate: return false
    case .fenced: throw Deposed()
    case .queued:
      metrics.increment(
        "botburrow_assigned_total", [("pool", pool.rawValue), ("task_type", item.taskType.rawValue)])
      logger.info(
        "work was queued",
        metadata: [
          "activation_id": "\(item.activationID ?? "")", "agent_id": "\(item.agentID)", "pool": "\(pool.rawValue)",
          "task_type": "\(item.taskType.rawValue)",
        ])
      return true
    }
  }

  /// An entry that stays unreadable comes with every poll: it is logged and counted when it appears.
  private func report(_ unreadable: [String]) {
    let new = state.withLock { state in
      defer { state.unreadable = Set(unreadable) }
      return Set(unreadable).subtracting(state.unreadable)
    }
    for reason in new.sorted() {
      metrics.increment("botburrow_unreadable_notifications_total")
      logger.warning("a notification can't be read", metadata: ["error": "\(reason)"])
    }
  }

  private func warnOfUnknown(_ agents: [String: KnownAgent]) {
    let unknown = Set(agents.filter { $0.value == .unknown }.keys)
    let new = state.withLock { state in
      let new = unknown.subtracting(state.unknownAgents)
      // One that got its definition and lost it is news again.
      state.unknownAgents.subtract(agents.keys)
      state.unknownAgents.formUnion(unknown)
      return new
    }
    for id in new.sorted() {
      metrics.increment("botburrow_unknown_agents_total")
      logger.warning(
        "the Hub has notifications for an agent without a definition; publish agents/<id>/config.yaml or remove it there",
        metadata: ["agent_id": "\(id)"])
    }
  }

  /// The same ids give the same Idempotency-Key (FNV-1a, 64 bits).
  private func fingerprint(_ ids: [String]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in ids.sorted().joined(separator: "\n").utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return String(hash, radix: 16)
  }
}
