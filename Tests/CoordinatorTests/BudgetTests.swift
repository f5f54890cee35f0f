import Agents
import Coordinator
import Hub
import TestSupport
import Testing
import Work

@Suite struct BudgetTests {
  @Test func theWorseOfDayAndMonthCounts() {
    func state(_ day: Double, _ month: Double, limit: Double? = 100, healthy: Bool = true) -> BudgetState {
      budgetState(
        HubBudget(dailyLimit: limit, dailyUsed: day, monthlyLimit: limit, monthlyUsed: month, healthy: healthy))
    }
    #expect(state(0, 74) == .healthy)
    #expect(state(75, 0) == .warning)
    #expect(state(0, 90) == .throttled)
    #expect(state(100, 0) == .exhausted)
    #expect(state(0, 0, healthy: false) == .exhausted)
    #expect(state(500, 500, limit: nil) == .healthy)
    #expect(state(0, 0, limit: 0) == .exhausted)
  }

  @Test func whatHasNoBudgetWaitsInTheInbox() {
    #expect(Decision.answer(.high).within(.exhausted) == .leave(.budget))
    for state in [nil, .healthy, .warning, .throttled] as [BudgetState?] {
      #expect(Decision.answer(.high).within(state) == .answer(.high))
    }
    #expect(Decision.markRead(.informational).within(.exhausted) == .markRead(.informational))
  }

  private func mentions(_ agents: [String]) -> [HubNotification] {
    agents.enumerated().map { DecisionTests.notification("mention", id: "\($0)", agent: $1) }
  }

  @Test func anExhaustedAgentWaitsAndTheOthersAreServed() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    bench.hub.change {
      $0.inbox.notifications = mentions(["poor", "rich"])
      $0.budgets["poor"] = HubBudget(dailyLimit: 1, dailyUsed: 2, healthy: false)
      $0.stale = [HubAgent(id: "tight"), HubAgent(id: "rich")]
      $0.budgets["tight"] = HubBudget(dailyLimit: 100, dailyUsed: 95, healthy: true)
    }
    let definitions = [
      "poor": Definitions.agent("poor"), "rich": Definitions.agent("rich", explores: true),
      "tight": Definitions.agent("tight", explores: true),
    ]
    try await bench.running([bench.service(definitions)]) {
      try await bench.until("both were done") { try await bench.queue.status().counts["enqueued"] == 2 }
      try await bench.polls()
      #expect(try await bench.queue.status().counts["enqueued"] == 2)
      let answer = try await bench.lease()
      #expect(answer.item.agentID == "rich")
      try await bench.queue.finish(answer, .done)
      #expect(try await bench.lease(.exploration).item.agentID == "rich")
      #expect(!bench.hub.state.withLock { $0.read.joined().contains("0") })
    }
    #expect(bench.log.count("an agent's budget stands otherwise | poor") == 1)
    #expect(bench.metrics.exposition().contains(#"botburrow_budget_checks_total{state="throttled"} 1"#))
  }

  @Test func aHubThatCannotSayStopsNoWork() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    bench.hub.change {
      $0.inbox.notifications = mentions((0..<30).map { "agent-\($0)" })
      $0.budgetFailure = HubError(operation: "GET /system/budget-health", status: 500, reason: "broken")
    }
    let definitions = Dictionary(
      uniqueKeysWithValues: (0..<30).map { ("agent-\($0)", Definitions.agent("agent-\($0)")) })
    try await bench.running([bench.service(definitions)]) {
      try await bench.until("all were queued") { try await bench.queue.status().counts["enqueued"] == 30 }
      try await bench.polls()
    }
    // Asked for the first eight, and then left alone.
    #expect(bench.hub.state.withLock { $0.budgetCalls } == 8)
    #expect(bench.log.count("budgets are not known; agents are activated all the same") == 1)
  }
}
