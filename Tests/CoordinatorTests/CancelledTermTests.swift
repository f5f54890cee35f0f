import Agents
import Hub
import Observe
import Synchronization
import Testing

@testable import Coordinator

/// A term that ends in the middle of a look has asked things that are not answered: that says nothing of whom it asked.
@Suite struct CancelledTermTests {
  /// Holds whoever asks until it is cancelled, the first time only.
  private final class Hold: Sendable {
    private let asked = AsyncStream.makeStream(of: Void.self)
    private let isFirst = Mutex(true)
    func enter() async throws {
      guard
        isFirst.withLock({ first in
          defer { first = false }; return first
        })
      else { return }
      asked.continuation.yield()
      try await Task.sleep(for: .seconds(60))
    }
    func isEntered() async { for await _ in asked.stream { break } }
  }
  private struct Source: DefinitionSource {
    let hold: Hold
    func list() async throws -> [String] { ["a"] }
    func load(_ agentID: String) async throws -> LoadedAgent {
      try await hold.enter()
      return LoadedAgent(definition: Definitions.agent(agentID), systemPrompt: "", skills: [])
    }
  }

  @Test func aDefinitionThatNobodyWaitedForIsNotBroken() async {
    let (hold, log, metrics) = (Hold(), LogBook(), Metrics())
    let cache = DefinitionCache(Source(hold: hold), metrics: metrics, logger: log.logger)
    let asking = Task { await cache.agents(["a"]) }
    await hold.isEntered()
    asking.cancel()
    _ = await asking.value
    guard case .defined = await cache.agent("a") else {
      Issue.record("it is believed to be broken")
      return
    }
    #expect(log.lines.withLock { $0 } == [])
    #expect(!metrics.exposition().contains("botburrow_definition_errors_total{"))
  }

  @Test func aBudgetThatNobodyWaitedForKeepsNobodyFromAsking() async {
    let (hold, log, metrics) = (Hold(), LogBook(), Metrics())
    let hub = InboxHub()
    hub.change {
      $0.budgets["a"] = HubBudget(dailyLimit: 1, dailyUsed: 2, healthy: false)
      $0.budgetGate = { try await hold.enter() }
    }
    let budgets = BudgetCache(hub, metrics: metrics, logger: log.logger, limit: .seconds(60))
    let asking = Task { await budgets.states(of: ["a"]) }
    await hold.isEntered()
    asking.cancel()
    #expect(await asking.value == [:])
    #expect(await budgets.states(of: ["a"]) == ["a": .exhausted])
    #expect(log.count("budgets are not known") == 0)
  }
}
