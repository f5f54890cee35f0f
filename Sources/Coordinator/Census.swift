import Agents
import Hub
import Work

extension CoordinatorService {
  /// One walk through the definitions, some agents at a time: those that explore and have no due time yet get one; those that
  /// don't explore are noted until their definition may have changed. Nothing is kept for each agent in this process.
  ///
  /// Agents that are gone, or explore no more, leave the schedule when they are due.
  /// - Throws: `RedisError`, `Deposed`, and what the definitions' source throws where they can't be listed.
  func census(_ fence: Fence) async throws {
    var stale: [String: HubAgent]?
    try await cache.walk { ids in
      let new = try await queue.unscheduled(ids)
      if new.isEmpty { return }
      var thresholds: [String: Double] = [:]
      var quiet: [(agentID: String, at: Double)] = []
      for (id, agent) in await cache.agents(new) {
        if let threshold = threshold(of: agent) {
          thresholds[id] = threshold
        } else if case .defined(let definition) = agent {
          quiet.append((id, now() + Double(definition.cacheTTL.components.seconds)))
        }
      }
      // Where the term ended meanwhile, what was asked may not have been answered.
      try Task.checkCancellation()
      guard try await queue.noteQuiet(quiet, fence: fence) else { throw Deposed() }
      if thresholds.isEmpty { return }
      if stale == nil { stale = await staleAgents() }
      // Without the Hub's list they wait for the next walk.
      guard let stale else { return }
      guard try await queue.scheduleNew(firstDue(thresholds, stale: stale, now: now()), fence: fence) else {
        throw Deposed()
      }
    }
  }

  /// The Hub's list by id; nil when it failed.
  private func staleAgents() async -> [String: HubAgent]? {
    do {
      let all = try await hub.agents(staleFor: Int(configuration.coordinator.staleThreshold.components.seconds))
      return Dictionary(all.map { ($0.id, $0) }) { first, _ in first }
    } catch let error as HubError {
      hubFailed(error)
    } catch {
      hubFailed(HubError(operation: "GET /agents", status: nil, reason: "\(error)"))
    }
    return nil
  }
}
