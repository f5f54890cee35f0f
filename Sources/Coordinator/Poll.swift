import Agents
import Hub
import Logging
import Redis
import Work

extension CoordinatorService {
  func pollWhileLeading() async {
    let backoff = HubBackoff(interval: configuration.coordinator.pollInterval)
    var plan = PollPlan(interval: configuration.coordinator.pollInterval)
    var failures = 0
    while !Task.isCancelled, let fence = leader.fence {
      let step = plan.next(.now)
      do {
        switch step {
        case .rest(let until):
          await pause(until: until)
          continue
        case .sweep:
          let started = ContinuousClock.now
          try await poll(fence)
          plan.swept(started)
        case .longPoll:
          if try await !longPoll(fence, plan) {
            plan.longPollIsMissing(.now)
            continue
          }
        }
        failures = 0
        polled("ok")
      } catch  where Task.isCancelled {
        // The term is over, or the program ends: nobody failed.
        return
      } catch let error as HubError {
        failures += 1
        polled("hub_error")
        hubFailed(error)
        if step == .longPoll { plan.longPollFailed(.now) }
        await pause(backoff.delay(failures: failures, retryAfter: error.retryAfter, jitter: jitter()))
      } catch let error as RedisError {
        polled("redis_error")
        redisFailed(error)
        // A full Redis may stay full for hours: the Hub isn't read through each second meanwhile.
        let interval = configuration.coordinator.pollInterval
        await pause(error.isFull ? interval : min(interval, .seconds(1)))
      } catch is Deposed {
        // The next campaign finds out who leads; the loop's condition then ends the term, or a new epoch goes on.
        await pause(timing.campaignInterval)
      } catch {
        failures += 1
        polled("hub_error")
        hubFailed(HubError(operation: "poll", status: nil, reason: "\(error)"))
        await pause(backoff.delay(failures: failures, retryAfter: nil, jitter: jitter()))
      }
    }
  }

  private func polled(_ result: String) { metrics.increment("botburrow_polls_total", [("result", result)]) }

  /// Waits at the Hub, and reads the inboxes of those that have something. False: the Hub has no long poll.
  private func longPoll(_ fence: Fence, _ plan: PollPlan) async throws -> Bool {
    let started = ContinuousClock.now
    guard
      let agents = try await hub.pollNotifications(
        timeout: PollPlan.waitSeconds, batchSize: PollPlan.batchSize)
    else { return false }
    state.withLock { $0.lastPollAt = now() }
    var queued = 0
    if agents.count > PollPlan.mostInboxes {
      queued = try await poll(fence)
    } else if !agents.isEmpty {
      queued = try await take(inboxes(of: agents.map(\.id)), fence)
    }
    // A poll of everything is worth a second too.
    if queued == 0 || agents.count > PollPlan.mostInboxes { await pause(until: plan.pace(started)) }
    return true
  }

  private func inboxes(of agentIDs: [String]) async throws -> Inbox {
    let hub = hub
    return try await withThrowingTaskGroup(of: Inbox.self) { group in
      var rest = agentIDs.makeIterator()
      for _ in 0..<4 {
        guard let id = rest.next() else { break }
        group.addTask { try await hub.unreadNotifications(agentID: id) }
      }
      var all = Inbox(notifications: [])
      while let inbox = try await group.next() {
        all.notifications += inbox.notifications
        all.unreadable += inbox.unreadable
        if let id = rest.next() { group.addTask { try await hub.unreadNotifications(agentID: id) } }
      }
      return all
    }
  }

  /// The seed's poll: read what is unread of every agent, and act on it.
  /// - Returns: how many items were queued.
  /// - Throws: `HubError`, `RedisError`, `Deposed`.
  @discardableResult
  func poll(_ fence: Fence) async throws -> Int { try await take(try await hub.unreadNotifications(), fence) }

  /// Decide, queue, mark read what nobody will answer.
  private func take(_ inbox: Inbox, _ fence: Fence) async throws -> Int {
    report(inbox.unreadable)
    let states = try await queue.notificationStates(inbox.notifications.map(\.id))
    var agents: [String: KnownAgent] = [:]
    for notification in inbox.notifications where agents[notification.agentID] == nil {
      agents[notification.agentID] = await cache.agent(notification.agentID)
    }
    warnOfUnknown(agents)

    var decisions = inbox.notifications.map { notification in
      decide(notification, agent: agents[notification.agentID] ?? .unknown, state: states[notification.id])
    }
    let asked = zip(inbox.notifications, decisions).filter { $1.isAnswer }.map { $0.0.agentID }
    let said = try await queue.said(by: Set(asked).sorted())
    decisions = zip(inbox.notifications, decisions).map { notification, decision in
      guard case .defined(let definition) = agents[notification.agentID] else { return decision }
      return decision.within(definition.limits, said: said[notification.agentID])
    }
    let budgets = await self.budgets.states(
      of: zip(inbox.notifications, decisions).filter { $1.isAnswer }.map { $0.0.agentID })
    decisions = zip(inbox.notifications, decisions).map { $1.within(budgets[$0.agentID]) }
    // Where the term ended meanwhile, what was asked may not have been answered.
    try Task.checkCancellation()

    var answers: [(notification: HubNotification, priority: WorkItem.Priority)] = []
    var read: [String] = []
    for (notification, decision) in zip(inbox.notifications, decisions) {
      switch decision {
      case .answer(let priority): answers.append((notification, priority))
      case .markRead: read.append(notification.id)
      case .leave: continue
      }
      metrics.increment("botburrow_notifications_total", [("decision", decision.word)])
    }
    var queued = 0
    if !answers.isEmpty {
      var rooms = try await self.rooms()
      let proposals = workItems(answers, now: now(), makeID: makeID)
        .map { Proposal(item: $0, pool: assign(.notification, rooms: &rooms)) }
      do { queued = try await enqueue(proposals, fence: fence) } catch let error as RedisError where error.isFull {
        // What nobody answers would come again with every poll, for as long as it lasts.
        try await markRead(read)
        throw error
      }
    }
    state.withLock { $0.lastPollAt = now() }
    try await markRead(read)
    return queued
  }

  private func markRead(_ notificationIDs: [String]) async throws {
    for start in stride(from: 0, to: notificationIDs.count, by: 100) {
      let ids = Array(notificationIDs[start..<min(start + 100, notificationIDs.count)])
      try await hub.markRead(ids, idempotencyKey: "read-\(fingerprint(ids))")
    }
  }

  /// What each pool has room for now.
  func rooms() async throws -> [Pool: PoolRoom] { try await rooms(try await queue.status()) }

  /// The same with a status that is at hand.
  func rooms(_ status: WorkStatus) async throws -> [Pool: PoolRoom] {
    let live = slots(try await queue.runners().runners)
    return Coordinator.rooms(status, slots: live ?? slots(configuration.runners))
  }

  /// - Returns: how many were queued; the others are known already.
  /// - Throws: `RedisError`, `Deposed`.
  @discardableResult
  func enqueue(_ proposals: [Proposal], fence: Fence) async throws -> Int {
    var queued = 0
    for start in stride(from: 0, to: proposals.count, by: WorkQueue.batch) {
      let part = proposals[start..<min(start + WorkQueue.batch, proposals.count)]
      queued += try await enqueue(part, fence)
    }
    return queued
  }

  private func enqueue(_ proposals: ArraySlice<Proposal>, _ fence: Fence) async throws -> Int {
    let outcomes = try await queue.enqueue(proposals, fence: fence)
    if outcomes.contains(.queued) { redisTookWork() }
    for (proposal, outcome) in zip(proposals, outcomes) where outcome == .queued {
      let (item, pool) = (proposal.item, proposal.pool.rawValue)
      metrics.increment("botburrow_assigned_total", [("pool", pool), ("task_type", item.taskType.rawValue)])
      logger.info(
        "work was queued",
        metadata: [
          "activation_id": "\(item.activationID ?? "")", "agent_id": "\(item.agentID)", "pool": "\(pool)",
          "task_type": "\(item.taskType.rawValue)", "epoch": "\(fence.epoch)",
        ])
    }
    if outcomes.contains(.fenced) { throw Deposed() }
    return outcomes.count { $0 == .queued }
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
