import Agents
import Hub
import Logging
import Work

extension CoordinatorService {
  /// One look at the staleness schedule: agents that explore get a due time, those that no longer do lose it, and the most
  /// overdue are queued, oldest first, as long as the list has room.
  /// - Throws: `RedisError`, `Deposed`.
  func explore(_ fence: Fence) async throws {
    guard let ids = await cache.list() else { return }
    var thresholds: [String: Double] = [:]
    for id in ids.sorted() {
      guard case .defined(let definition) = await cache.agent(id),
        let threshold = staleThreshold(of: definition, default: configuration.coordinator.staleThreshold)
      else { continue }
      thresholds[id] = Double(threshold.components.seconds)
    }
    let scheduled = Set(try await queue.scheduledAgents())
    let gone = scheduled.subtracting(thresholds.keys)
    if !gone.isEmpty, try await !queue.unschedule(gone.sorted(), fence: fence) { throw Deposed() }
    let new = thresholds.filter { !scheduled.contains($0.key) }
    if !new.isEmpty, let stale = await staleAgents() {
      guard try await queue.scheduleNew(firstDue(new, stale: stale, now: now()), fence: fence) else { throw Deposed() }
    }
    if thresholds.isEmpty { return }

    let pool = assign(.exploration, runners: configuration.runners)
    let room = explorationRoom(
      queued: try await queue.status().pools[pool]?.queued ?? 0,
      maxConcurrent: configuration.coordinator.maxConcurrentActivations)
    guard let due = try await queue.takeDue(room, fence: fence) else { throw Deposed() }
    for agent in due.agents {
      switch decide(agent, threshold: thresholds[agent.agentID], now: due.now) {
      case .later(let at):
        guard try await queue.reschedule([(agent.agentID, at)], fence: fence) else { throw Deposed() }
      case .forget:
        guard try await queue.unschedule([agent.agentID], fence: fence) else { throw Deposed() }
      case .explore(let nextDue):
        let item = WorkItem(
          activationID: makeID(), agentID: agent.agentID, taskType: .exploration, priority: .low, createdAt: now())
        try await enqueue(item, pool: pool, fence: fence, nextDue: nextDue)
      }
    }
  }

  /// The Hub's list; nil when it failed, and then new agents wait for the next look.
  private func staleAgents() async -> [HubAgent]? {
    do {
      return try await hub.agents(staleFor: Int(configuration.coordinator.staleThreshold.components.seconds))
    } catch let error as HubError {
      hubFailed(error)
    } catch {
      hubFailed(HubError(operation: "GET /agents", status: nil, reason: "\(error)"))
    }
    return nil
  }
}
