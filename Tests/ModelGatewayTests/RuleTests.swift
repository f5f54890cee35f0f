import Agents
import Configuration
import JSON
import Testing

@testable import ModelGateway

@Suite struct RuleTests {
  @Test func aBudgetHoldsWhatCallsUnderWayMayUse() {
    var budget = TokenBudget(limit: 10_000)
    #expect(budget.admit(requestBytes: 4000, output: 2000) == .admitted(reservation: 3000, maxOutput: nil))
    // More than is left: the call is made with what is left.
    #expect(budget.admit(requestBytes: 4000, output: 32_000) == .admitted(reservation: 7000, maxOutput: 6000))
    #expect(budget.admit(requestBytes: 400, output: 300) == .exhausted)
    budget.settle(reservation: 3000, used: 1500, dollars: 0)
    budget.settle(reservation: 7000, used: 500, dollars: 0)
    #expect(budget.used == 2000)
    #expect(budget.reserved == 0)
    #expect(budget.admit(requestBytes: 0, output: nil, assumed: 4096) == .admitted(reservation: 4096, maxOutput: nil))
    budget.settle(reservation: 4096, used: 7900, dollars: 0)
    #expect(budget.admit(requestBytes: 0, output: 100) == .admitted(reservation: 100, maxOutput: nil))
    #expect(budget.admit(requestBytes: 0, output: 100) == .exhausted)
  }

  @Test func aBudgetIsNotLoweredBelowWhatARequestThinksWith() {
    var budget = TokenBudget(limit: 10_000)
    #expect(budget.admit(requestBytes: 0, output: 32_000, floor: 16_001) == .exhausted)
    #expect(
      budget.admit(requestBytes: 0, output: 32_000, floor: 8_001) == .admitted(reservation: 10_000, maxOutput: 10_000))
  }

  @Test func moneyRunsOut() {
    var budget = TokenBudget(limit: nil, dollars: 0.5)
    #expect(budget.admit(requestBytes: 40, output: 1_000_000) == .admitted(reservation: 1_000_010, maxOutput: nil))
    budget.settle(reservation: 1_000_010, used: 5, dollars: 0.5)
    #expect(budget.admit(requestBytes: 0, output: 1) == .broke)
    var none = TokenBudget(limit: 1000, dollars: 0)
    #expect(none.admit(requestBytes: 0, output: 1) == .broke)
  }

  /// A breaker as its callers see it: calls that begin, and how they end.
  private struct Watched {
    var breaker = CircuitBreaker(threshold: 3, rest: .seconds(30))
    /// Nil where it is turned away.
    mutating func begin(_ second: Int) -> CircuitBreaker.Pass? {
      if case .passes(let pass) = breaker.admit(at: .seconds(second)) { pass } else { nil }
    }
    mutating func wait(_ second: Int) -> Duration? {
      if case .rests(let wait) = breaker.admit(at: .seconds(second)) { wait } else { nil }
    }
    mutating func end(_ pass: CircuitBreaker.Pass?, _ second: Int, _ success: Bool?) {
      guard let pass else { return }
      if let success {
        breaker.record(pass, success: success, at: .seconds(second))
      } else {
        breaker.forget(pass, at: .seconds(second))
      }
    }
    /// Three failures at that second, and it is open.
    mutating func open(_ second: Int) { for _ in 0..<3 { end(begin(second), second, false) } }
  }

  @Test func aBreakerOpensRestsAndTries() {
    var watched = Watched()
    for second in 0..<2 { watched.end(watched.begin(second), second, false) }
    watched.end(watched.begin(2), 2, true)
    for second in 3..<5 { watched.end(watched.begin(second), second, false) }
    #expect(!watched.breaker.isOpen)
    watched.end(watched.begin(5), 5, false)
    #expect(watched.wait(6) == .seconds(29))
    let trial = watched.begin(35)
    #expect(trial != nil)
    // One tries; the others wait for its end.
    #expect(watched.wait(35) == .seconds(1))
    watched.end(trial, 36, false)
    #expect(watched.wait(37) == .seconds(29))
    watched.end(watched.begin(66), 67, true)
    #expect(!watched.breaker.isOpen)
  }

  @Test(arguments: [true, false, nil] as [Bool?])
  func whatBeganBeforeABreakerOpenedChangesNothing(end: Bool?) {
    var watched = Watched()
    let (old, older) = (watched.begin(0), watched.begin(0))
    watched.open(1)
    watched.end(old, 2, end)
    #expect(watched.wait(2) == .seconds(29))
    let trial = watched.begin(31)
    watched.end(older, 32, end)
    // Still one alone tries.
    #expect(watched.wait(32) == .seconds(1))
    watched.end(trial, 33, true)
    #expect(!watched.breaker.isOpen)
  }

  @Test func aTrialThatTellsNothingIsFollowedByAnother() {
    var watched = Watched()
    watched.open(0)
    let trial = watched.begin(30)
    watched.end(trial, 31, nil)
    let next = watched.begin(31)
    #expect(next != nil && watched.wait(31) == .seconds(1))
    // The first one's end comes late, a second time: it isn't the one that tries any more.
    watched.end(trial, 32, true)
    #expect(watched.breaker.isOpen)
    // One that never ends is given up after a while.
    #expect(watched.wait(31 + 119) == .seconds(1))
    #expect(watched.begin(31 + 120) != nil)
  }

  @Test func onlyWhatMayEndOtherwiseIsTriedAgain() {
    func wait(_ status: Int, after: Duration? = nil, should: Bool? = nil, attempt: Int = 0) -> Duration? {
      RetryRule.wait(
        after: .status(status, retryAfter: after, shouldRetry: should), attempt: attempt, limit: 2)
    }
    #expect(wait(429, after: .seconds(3)) == .seconds(3))
    #expect(wait(429, after: .seconds(60)) == nil)
    #expect(wait(529) == .milliseconds(500))
    #expect(wait(500, attempt: 1) == .seconds(1))
    #expect(wait(500, attempt: 2) == nil)
    #expect(wait(500, should: false) == nil)
    for status in [200, 400, 401, 402, 404] { #expect(wait(status) == nil) }
    #expect(RetryRule.wait(after: .unreachable, attempt: 0, limit: 2) == .milliseconds(500))
  }

  @Test func aDenialSpeaksEachDialect() throws {
    func answer(_ dialect: ModelDialect) throws -> (Int, JSONValue, String?) {
      let response = Denial.exhausted.response(dialect)
      return (response.status, try JSONValue(parsing: response.body), response.header("x-should-retry"))
    }
    let anthropic = try answer(.anthropic)
    #expect(anthropic.0 == 402)
    #expect(anthropic.1["error"]?["type"] == "billing_error")
    #expect(anthropic.1["error"]?["message"] == "activation budget exhausted")
    #expect(anthropic.2 == "false")
    let responses = try answer(.openAIResponses)
    #expect(responses.0 == 429)
    #expect(responses.1["error"]?["code"] == "insufficient_quota")
    #expect(try answer(.openAIChat).0 == 400)
    #expect(try answer(.openAIChat).1["error"]?["message"] == "activation budget exhausted")
  }

  @Test func aDefinitionChoosesAmongTheOperatorsProviders() throws {
    var anthropic = ModelProvider(name: "anthropic", apiBase: "https://a", dialects: [.anthropic], key: "k")
    anthropic.models = ["claude-*"]
    anthropic.sideModels = ["claude-haiku*"]
    anthropic.keys = ["TEAM_KEY": "t"]
    let other = ModelProvider(name: "vllm", apiBase: "http://10.0.0.1:8000/v1", dialects: [.openAIChat])
    let providers = ["anthropic": anthropic, "vllm": other]
    func choose(_ model: String, _ change: (inout AgentDefinition.Brain) -> Void = { _ in }) throws -> ModelChoice? {
      var brain = AgentDefinition.Brain(model: model)
      change(&brain)
      return try ModelChoice.of(AgentDefinition(id: "abc", kind: .native, brain: brain), providers: providers)
    }
    let usual = try #require(try choose("claude-x") { $0.apiKeyEnvironment = "ANTHROPIC_API_KEY" })
    #expect(usual.key == "k")
    #expect(usual.permits("claude-x"))
    #expect(usual.permits("claude-haiku-4"))
    #expect(!usual.permits("claude-y"))
    #expect(try choose("claude-x") { $0.apiKeyEnvironment = "TEAM_KEY" }?.key == "t")
    #expect(
      try choose("q") {
        $0.provider = .local; $0.apiBase = "http://10.0.0.1:8000/v1/"
      }?.provider.name == "vllm")
    #expect(try choose("none") == nil)
    #expect(throws: ModelChoiceError.unknownBase(agentID: "abc", base: "http://evil")) {
      try choose("claude-x") { $0.apiBase = "http://evil" }
    }
    #expect(throws: ModelChoiceError.unknownKey(agentID: "abc", variable: "HUB_API_KEY", provider: "anthropic")) {
      try choose("claude-x") { $0.apiKeyEnvironment = "HUB_API_KEY" }
    }
    #expect(throws: ModelChoiceError.modelNotPermitted(agentID: "abc", model: "gpt", provider: "anthropic")) {
      try choose("gpt")
    }
    #expect(throws: ModelChoiceError.noProvider(agentID: "abc", name: "openai", configured: ["anthropic", "vllm"])) {
      try choose("gpt") { $0.provider = .openai }
    }
  }

  @Test func theLongestPriceCounts() {
    var provider = ModelProvider(name: "a", apiBase: "http://a", dialects: [.anthropic])
    provider.prices = [
      "claude-*": ModelPrice(input: 3, output: 15),
      "claude-haiku*": ModelPrice(input: 1, output: 5, cacheRead: 0.1, cacheWrite: 1.25),
    ]
    let usage = ModelUsage(input: 1_000_000, cacheRead: 1_000_000, cacheWrite: 1_000_000, output: 1_000_000)
    #expect(provider.price(of: "claude-haiku-4").map { usage.cost($0) } == 7.35)
    #expect(provider.price(of: "claude-x").map { usage.cost($0) } == 24)
    #expect(provider.price(of: "gpt") == nil)
  }
}
