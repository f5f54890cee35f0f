import Hub
import Logging
import Observe

/// How an agent's budget stands, by what the Hub says of it.
public enum BudgetState: String, Sendable, Hashable {
  case healthy
  /// Three quarters are used: said, and nothing else.
  case warning
  /// Nine tenths are used: answers go on, explorations don't.
  case throttled
  /// All is used, or the Hub says so: work waits where it is, and blocks nobody.
  case exhausted
}

/// What a Hub's word on a budget means: the worse of day and month.
public func budgetState(_ budget: HubBudget) -> BudgetState {
  func share(_ used: Double?, _ limit: Double?) -> Double {
    guard let limit else { return 0 }
    return limit > 0 ? (used ?? 0) / limit : 1
  }
  let share = max(
    share(budget.dailyUsed, budget.dailyLimit), share(budget.monthlyUsed, budget.monthlyLimit))
  if !budget.healthy || share >= 1 { return .exhausted }
  return share >= 0.9 ? .throttled : share >= 0.75 ? .warning : .healthy
}

/// Budgets, for a minute each.
///
/// A Hub that can't say stops no work: an agent whose budget isn't known counts as healthy, and the model gateway's own limits hold
/// for it. After a failure the Hub isn't asked again for a minute, so that a slow endpoint costs one time-out and not one for each agent.
actor BudgetCache {
  private let hub: any HubAPI
  private let metrics: Metrics
  private let logger: Logger
  private let limit: Duration
  private let now: @Sendable () -> ContinuousClock.Instant
  private var known = Remembered<BudgetState>()
  private var leftAloneUntil: ContinuousClock.Instant?
  private static let memory = Duration.seconds(60)
  /// How long a Hub that keeps no budgets is believed to keep none.
  private static let absence = Duration.seconds(600)

  /// - Parameter limit: on one call.
  init(
    _ hub: any HubAPI, metrics: Metrics, logger: Logger, limit: Duration = .seconds(2),
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.hub = hub
    self.metrics = metrics
    self.logger = logger
    self.limit = limit
    self.now = now
  }

  /// The states of some agents, of which eight are asked for at a time.
  func states(of agentIDs: some Sequence<String>) async -> [String: BudgetState] {
    var states: [String: BudgetState] = [:]
    var ask: [String] = []
    for id in Set(agentIDs) {
      if let state = known.fresh(id, at: now()) { states[id] = state } else { ask.append(id) }
    }
    ask.sort()
    for start in stride(from: 0, to: ask.count, by: 8) {
      if let leftAloneUntil, now() < leftAloneUntil { break }
      let (hub, limit) = (hub, limit)
      let answers = await withTaskGroup(of: (String, Result<HubBudget, HubError>).self) { group in
        for id in ask[start..<min(start + 8, ask.count)] {
          group.addTask { (id, await Self.ask(hub, id, limit)) }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      for (id, answer) in answers {
        switch answer {
        case .success(let budget): states[id] = keep(budgetState(budget), id)
        // Nobody waits for it any more: that says nothing of the Hub.
        case .failure where Task.isCancelled: return states
        case .failure(let error): leaveAlone(error)
        }
      }
    }
    for id in ask where states[id] == nil { metrics.increment("botburrow_budget_checks_total", [("state", "unknown")]) }
    return states
  }

  private static func ask(_ hub: any HubAPI, _ id: String, _ limit: Duration) async -> Result<HubBudget, HubError> {
    let operation = "GET /system/budget-health"
    return await withTaskGroup(of: Result<HubBudget, HubError>.self) { group in
      group.addTask {
        do {
          return .success(try await hub.budgetHealth(agentID: id))
        } catch let error as HubError {
          return .failure(error)
        } catch {
          return .failure(HubError(operation: operation, status: nil, reason: "\(error)"))
        }
      }
      group.addTask {
        do { try await Task.sleep(for: limit) } catch {
          return .failure(HubError(operation: operation, status: nil, reason: "it was not waited for"))
        }
        return .failure(HubError(operation: operation, status: nil, reason: "no answer within \(limit)"))
      }
      let first = await group.next()
      group.cancelAll()
      return first ?? .failure(HubError(operation: operation, status: nil, reason: "it was not asked"))
    }
  }

  private func keep(_ state: BudgetState, _ id: String) -> BudgetState {
    metrics.increment("botburrow_budget_checks_total", [("state", state.rawValue)])
    let before = known.last(id) ?? .healthy
    if state != before {
      logger.log(
        level: state == .healthy ? .notice : .warning, "an agent's budget stands otherwise",
        metadata: ["agent_id": "\(id)", "budget": "\(state.rawValue)", "before": "\(before.rawValue)"])
    }
    known.keep(state, id, until: now() + Self.memory)
    return state
  }

  private func leaveAlone(_ error: HubError) {
    if let leftAloneUntil, now() < leftAloneUntil { return }
    let isAbsent = error.status == 404
    leftAloneUntil = now() + (isAbsent ? Self.absence : Self.memory)
    if isAbsent {
      logger.notice("the Hub keeps no budgets; agents are activated without")
    } else {
      metrics.increment(
        "botburrow_hub_errors_total",
        [("operation", "GET /system/budget-health"), ("status", error.status.map { "\($0)" } ?? "none")])
      logger.warning("budgets are not known; agents are activated all the same", metadata: ["error": "\(error)"])
    }
  }
}
