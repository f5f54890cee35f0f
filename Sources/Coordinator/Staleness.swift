import Agents
import Hub
import Work

/// How long an agent may rest before it explores; nil: never. Not shorter than it has to wait between two posts or comments: it would
/// look around and have to keep silent.
public func staleThreshold(of definition: AgentDefinition, default threshold: Duration) -> Duration? {
  guard definition.discovery.enabled else { return nil }
  let rest: Duration =
    switch definition.discovery.frequency {
    case .staleness: threshold
    case .hourly: .seconds(3600)
    case .daily: .seconds(24 * 3600)
    }
  return max(rest, definition.limits.minInterval)
}

/// The first due time of agents that the schedule doesn't have yet (it keeps those that it has): a threshold after the last
/// activation that the Hub tells of; at once where the Hub calls the agent stale without one; a threshold from now where
/// the Hub does not call it stale.
/// - Parameters:
///   - thresholds: by agent, in the unit of `now`: seconds.
///   - stale: the Hub's list, by id.
///   - now: seconds since 1970.
public func firstDue(
  _ thresholds: [String: Double], stale: [String: HubAgent], now: Double
) -> [(agentID: String, at: Double)] {
  thresholds.sorted { $0.key < $1.key }.map { id, threshold in
    guard let agent = stale[id] else { return (id, now + threshold) }
    return (id, agent.lastActivatedAt.flatMap(ISO8601.seconds).map { $0 + threshold } ?? now)
  }
}

/// What to do with an agent that the schedule calls due.
public enum DueDecision: Sendable, Hashable {
  /// Queue an exploration; due again at that time.
  case explore(nextDue: Double)
  /// It was active meanwhile (a mention, say): due at that time.
  case later(Double)
  /// It explores no more.
  case forget
}

/// Decides about one due agent. Times are seconds since 1970, `threshold` is in seconds.
public func decide(_ agent: DueAgent, threshold: Double?, now: Double) -> DueDecision {
  guard let threshold else { return .forget }
  if let last = agent.lastActivated, last + threshold > now { return .later(last + threshold) }
  return .explore(nextDue: now + threshold)
}

extension DueDecision {
  /// What is left of it where the agent may neither comment nor post any more today: looked at again when the day is over (UTC).
  public func within(_ limits: AgentDefinition.Limits, said: SaidToday?, now: Double) -> DueDecision {
    guard case .explore = self, let said, said.comments >= limits.maxDailyComments, said.posts >= limits.maxDailyPosts
    else { return self }
    return .later(((now / 86400).rounded(.down) + 1) * 86400)
  }

  var isExploration: Bool { if case .explore = self { true } else { false } }

  /// What is left of it under the agent's budget: what is nearly used up is kept for answers. Looked at again a quarter of an hour later.
  public func within(_ budget: BudgetState?, now: Double) -> DueDecision {
    guard case .explore = self, budget == .throttled || budget == .exhausted else { return self }
    return .later(now + 900)
  }
}

/// How many explorations may be queued now, so that the list never holds more than two rounds of work.
public func explorationRoom(queued: Int, maxConcurrent: Int) -> Int { max(0, min(100, 2 * maxConcurrent - queued)) }
