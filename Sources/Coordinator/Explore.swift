import Agents
import Work

extension CoordinatorService {
  /// One look at the staleness schedule: the most overdue agents are queued, oldest first, as long as the list has room. Takes
  /// as long as those that are due take, however many there are.
  /// - Throws: `RedisError`, `Deposed`.
  func explore(_ fence: Fence) async throws {
    let started = ContinuousClock.now
    defer { metrics.set("botburrow_staleness_tick_seconds", to: started.duration(to: .now) / .seconds(1)) }
    let pool = assign(.exploration, runners: configuration.runners)
    let room = explorationRoom(
      queued: try await queue.status().pools[pool]?.queued ?? 0,
      maxConcurrent: configuration.coordinator.maxConcurrentActivations)
    guard let due = try await queue.takeDue(room, fence: fence) else { throw Deposed() }
    let known = await cache.agents(due.agents.map(\.agentID))
    var later: [(agentID: String, at: Double)] = []
    var gone: [String] = []
    for agent in due.agents {
      switch decide(agent, threshold: threshold(of: known[agent.agentID]), now: due.now) {
      case .later(let at): later.append((agent.agentID, at))
      case .forget: gone.append(agent.agentID)
      case .explore(let nextDue):
        let item = WorkItem(
          activationID: makeID(), agentID: agent.agentID, taskType: .exploration, priority: .low, createdAt: now())
        try await enqueue(item, pool: pool, fence: fence, nextDue: nextDue)
      }
    }
    guard try await queue.reschedule(later, fence: fence), try await queue.unschedule(gone, fence: fence) else {
      throw Deposed()
    }
  }

  /// In seconds; nil where the agent doesn't explore or nothing is known of it.
  func threshold(of agent: KnownAgent?) -> Double? {
    guard case .defined(let definition) = agent else { return nil }
    return staleThreshold(of: definition, default: configuration.coordinator.staleThreshold)
      .map { Double($0.components.seconds) }
  }
}
