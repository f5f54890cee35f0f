import Agents
import Work

extension CoordinatorService {
  /// One look at the staleness schedule: the most overdue agents are queued, oldest first, as long as the list has room. Takes
  /// as long as those that are due take, however many there are.
  /// - Throws: `RedisError`, `Deposed`.
  func explore(_ fence: Fence) async throws {
    let started = ContinuousClock.now
    defer { metrics.set("botburrow_staleness_tick_seconds", to: started.duration(to: .now) / .seconds(1)) }
    // Nobody is overdue, as mostly.
    if try await queue.upcoming(1, ahead: .zero).isEmpty { return }
    let status = try await queue.status()
    var rooms = try await self.rooms(status)
    let room = explorationRoom(
      queued: status.pools[.exploration]?.queued ?? 0,
      maxConcurrent: configuration.coordinator.maxConcurrentActivations)
    guard let due = try await queue.takeDue(room, fence: fence) else { throw Deposed() }
    let known = await cache.agents(due.agents.map(\.agentID))
    let thresholds = due.agents.map { threshold(of: known[$0.agentID]) }
    var decisions = zip(due.agents, thresholds).map { decide($0, threshold: $1, now: due.now) }
    let said = try await queue.said(by: zip(due.agents, decisions).filter { $1.isExploration }.map { $0.0.agentID })
    decisions = zip(due.agents, decisions).map { agent, decision in
      guard case .defined(let definition) = known[agent.agentID] else { return decision }
      return decision.within(definition.limits, said: said[agent.agentID], now: due.now)
    }
    let budgets = await self.budgets.states(
      of: zip(due.agents, decisions).filter { $1.isExploration }.map { $0.0.agentID })
    decisions = zip(due.agents, decisions).map { $1.within(budgets[$0.agentID], now: due.now) }
    // Where the term ended meanwhile, what was asked may not have been answered. They are offered again after their hold.
    try Task.checkCancellation()
    var later: [(agentID: String, at: Double)] = []
    var gone: [String] = []
    var proposals: [Proposal] = []
    for (agent, decision) in zip(due.agents, decisions) {
      switch decision {
      case .later(let at): later.append((agent.agentID, at))
      case .forget: gone.append(agent.agentID)
      case .explore(let nextDue):
        let item = WorkItem(
          activationID: makeID(), agentID: agent.agentID, taskType: .exploration, priority: .low, createdAt: now())
        proposals.append(
          Proposal(item: item, pool: assign(.exploration, rooms: &rooms), nextDue: nextDue, decidedAt: due.now))
      }
    }
    try await enqueue(proposals, fence: fence)
    guard try await queue.reschedule(later, fence: fence), try await queue.unschedule(gone, fence: fence) else {
      throw Deposed()
    }
  }

  /// Has the definitions and budgets of the agents at hand that the next look will be about, so that a look waits for nothing but
  /// Redis. What could not be read ahead is read when it is needed.
  /// - Throws: `RedisError`.
  func readAhead() async throws {
    let started = ContinuousClock.now
    let room = explorationRoom(queued: 0, maxConcurrent: configuration.coordinator.maxConcurrentActivations)
    // An agent that comes due while the next look begins is among them.
    let ids = try await queue.upcoming(room, ahead: timing.stalenessInterval * 2)
    if ids.isEmpty { return }
    let known = await cache.agents(ids)
    _ = await budgets.states(of: ids.filter { threshold(of: known[$0]) != nil })
    metrics.set("botburrow_staleness_read_ahead_seconds", to: started.duration(to: .now) / .seconds(1))
  }

  /// In seconds; nil where the agent doesn't explore or nothing is known of it.
  func threshold(of agent: KnownAgent?) -> Double? {
    guard case .defined(let definition) = agent else { return nil }
    return staleThreshold(of: definition, default: configuration.coordinator.staleThreshold)
      .map { Double($0.components.seconds) }
  }
}
