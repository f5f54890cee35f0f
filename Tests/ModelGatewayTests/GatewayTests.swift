import Configuration
import HTTPClient
import JSON
import ModelStandIn
import Testing

@testable import ModelGateway

/// The gateway between a client and the stand-in, over real sockets.
@Suite struct ModelGatewayTests {
  @Test(arguments: ModelDialect.allCases, [false, true])
  func whatTheProviderSentIsCountedAndPassed(_ dialect: ModelDialect, _ streams: Bool) async throws {
    let ground = try await GatewayGround()
    let answer = try await ground.send(dialect, streams: streams, bearer: dialect != .anthropic)
    #expect(answer.status == 200)
    #expect(String(decoding: answer.body, as: UTF8.self).contains("morning"))
    if streams {
      #expect(answer.header("content-type") == "text/event-stream; charset=utf-8")
      #expect(!String(decoding: answer.body, as: UTF8.self).contains("prompt_tokens"))
    }
    let sent = ground.standIn.sent
    let counted = ground.session.usage
    #expect(
      counted
        == ModelUsage(
          input: sent.input, cacheRead: sent.cacheRead, cacheWrite: sent.cacheWrite, output: sent.output))
    #expect(counted.output == 7)
    let record = try #require(ground.records.all.first)
    #expect(record.outcome == .ok)
    #expect(!record.isEstimate)
    #expect(record.usage == counted)
    #expect(abs(record.costUSD - (Double(counted.allInput) + 70) / 1_000_000) < 1e-12)
    let seen = try #require(ground.standIn.entries.first)
    #expect(seen.key == .right)
    #expect(!seen.sandboxToken)
    #expect(ground.session.verdict == nil)
    await ground.stop()
  }

  @Test func onlyTheTokenOpens() async throws {
    let ground = try await GatewayGround()
    let wrong = String(repeating: "0b", count: 32)
    #expect(try await ground.send(token: wrong).status == 401)
    #expect(try await ground.send(token: "").status == 401)
    #expect(try await ground.send(.openAIChat, token: wrong, bearer: true).status == 401)
    #expect(ground.standIn.entries.isEmpty)
    #expect(ground.records.all.map(\.outcome) == [.refused, .refused, .refused])
    #expect(try await ground.send().status == 200)
    await ground.stop()
  }

  @Test func whatIsNotServedIsNotThere() async throws {
    let ground = try await GatewayGround(dialects: [.anthropic])
    #expect(try await ground.send(path: "/v1/files").status == 404)
    #expect(try await ground.send(.openAIChat).status == 404)
    #expect(ground.records.all.map(\.status) == [404, 404])
    #expect(try await ground.send(path: "/v1/messages?beta=true").status == 200)
    #expect(ground.standIn.entries.map(\.query) == ["beta=true"])
    let client = HTTPClient()
    #expect(try await client.send(HTTPRequest(method: "HEAD", url: ground.url + "/api/hello")).status == 200)
    let models = try await client.send(
      HTTPRequest(url: ground.url + "/v1/models", headers: [("x-api-key", GatewayGround.token)]))
    #expect(try JSONValue(parsing: models.body)["data"]?.array?.map { $0["id"]?.string } == ["m"])
    let count = try await ground.send(path: "/v1/messages/count_tokens")
    #expect(count.status == 200)
    #expect(ground.session.usage.total == 1038)
    await ground.stop()
  }

  @Test func onlyTheAgentsModelsAreCalled() async throws {
    let ground = try await GatewayGround()
    let refused = try await ground.send(model: "other")
    #expect(refused.status == 404)
    #expect(ground.session.verdict == .modelNotPermitted("other"))
    #expect(ground.standIn.entries.isEmpty)
    #expect(try await ground.send(model: "side-1").status == 200)
    #expect(ground.session.verdict == nil)
    await ground.stop()
  }

  @Test func anExhaustedBudgetSaysSoToWhoeverWaits() async throws {
    let ground = try await GatewayGround(maxTokens: 2000)
    let denied = Task { try await ground.session.untilOver() }
    #expect(try await ground.send { $0["max_tokens"] = 500 }.status == 200)
    #expect(ground.session.verdict == nil)
    // 1,038 are used: what is left is granted, no more.
    let second = try await ground.send { $0["max_tokens"] = 32_000 }
    #expect(second.status == 200)
    let third = try await ground.send(streams: true)
    #expect(third.status == 402)
    #expect(String(decoding: third.body, as: UTF8.self).contains("activation budget exhausted"))
    try await denied.value
    #expect(ground.session.verdict == .activationBudget)
    #expect(ground.records.all.map(\.outcome) == [.ok, .ok, .budget])
    #expect(ground.standIn.entries.count == 2)
    await ground.stop()
  }

  @Test func threeFailuresInARowAreToldToWhoeverWaits() async throws {
    let failing = try await GatewayGround(Scenario([.init(refusal: .init(500, retryAfter: 0))]))
    let hopeless = Task { try await failing.session.untilOver() }
    for _ in 0..<3 { _ = try await failing.send() }
    try await hopeless.value
    #expect(failing.session.verdict == .failed(status: 500))
    // What comes in the seconds that are left changes nothing: after ten, the provider is left alone.
    for _ in 0..<8 { _ = try await failing.send() }
    #expect(failing.records.all.last?.outcome == .resting)
    #expect(failing.session.verdict == .failed(status: 500))
    await failing.stop()
    // Control: requests that are wrong themselves are no failures of the provider.
    let wrong = try await GatewayGround(Scenario([.init(refusal: .init(400))]))
    for _ in 0..<4 { _ = try await wrong.send() }
    #expect(!wrong.session.isOver && failing.session.isOver)
    await wrong.stop()
    // Control: one that is answered in between begins anew.
    let mended = try await GatewayGround(
      Scenario([.init(refusal: .init(401, times: 2), thenText: "There.")]))
    let waiting = Task { try await mended.session.untilOver() }
    for _ in 0..<4 { _ = try await mended.send() }
    #expect(mended.session.verdict == nil)
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    await mended.stop()
  }

  @Test func anAgentWithoutMoneyIsDenied() async throws {
    let ground = try await GatewayGround(dollars: 0)
    #expect(try await ground.send().status == 402)
    #expect(ground.session.verdict == .agentBudget)
    await ground.stop()
  }

  @Test func whatIsWaitedForAndCancelledEnds() async throws {
    let ground = try await GatewayGround()
    let waiting = Task { try await ground.session.untilOver() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    await ground.stop()
  }

  @Test(arguments: ModelDialect.allCases)
  func aRefusalThatMayPassIsTriedAgain(_ dialect: ModelDialect) async throws {
    let ground = try await GatewayGround(
      Scenario([.init(refusal: .init(429, retryAfter: 2, times: 2), thenText: "There.")]))
    let answer = try await ground.send(dialect, streams: true)
    #expect(answer.status == 200)
    #expect(ground.records.all.map(\.retries) == [2])
    #expect(ground.standIn.entries.map(\.status) == [429, 429, 200])
    #expect(ground.session.usage.output == 7)
    await ground.stop()
  }

  static let refusals: [(Int, ModelVerdict, Int)] = [
    (401, .account(status: 401), 1), (402, .account(status: 402), 1), (404, .unknownModel("m"), 1),
    (429, .overloaded(status: 429, retryAfter: 3), 3), (500, .failed(status: 500), 3),
    (529, .overloaded(status: 529, retryAfter: 3), 3), (400, .failed(status: 400), 1),
  ]

  @Test(arguments: refusals)
  func aRefusalThatStaysPassesAndIsTheVerdict(_ status: Int, _ verdict: ModelVerdict, _ asked: Int) async throws {
    let ground = try await GatewayGround(Scenario([.init(refusal: .init(status, retryAfter: 3))]))
    let answer = try await ground.send(streams: true)
    #expect(answer.status == status)
    #expect(answer.header("retry-after") == ([401, 402].contains(status) ? nil : "3"))
    #expect(ground.session.verdict == verdict)
    #expect(ground.session.usage.total == 0)
    #expect(ground.standIn.entries.count == asked)
    // What is mended is no failure.
    ground.standIn.use(Scenario([.init("Good.")]))
    #expect(try await ground.send().status == 200)
    #expect(ground.session.verdict == nil)
    await ground.stop()
  }

  @Test(arguments: ModelDialect.allCases)
  func aCutStreamIsCutAndEstimated(_ dialect: ModelDialect) async throws {
    var turn = Scenario.Turn("one two three four five")
    turn.cutAfter = 6
    let ground = try await GatewayGround(Scenario([turn]))
    await #expect(throws: HTTPClientError.self) { _ = try await ground.send(dialect, streams: true) }
    let record = try #require(ground.records.all.first)
    #expect(record.outcome == .cut)
    #expect(record.isEstimate)
    #expect(record.usage.output > 0)
    #expect(ground.session.verdict == .cut)
    #expect(ground.session.hasEstimate)
    if dialect == .anthropic { #expect(record.usage.allInput == 1031) }
    await ground.stop()
  }

  @Test func aProviderThatIsNotThereIsSaidSo() async throws {
    let ground = try await GatewayGround(base: "http://127.0.0.1:1")
    #expect(try await ground.send().status == 502)
    #expect(ground.session.verdict == .unreachable)
    #expect(ground.records.all.map(\.retries) == [2])
    for _ in 0..<9 { #expect(try await ground.send().status == 502) }
    let resting = try await ground.send()
    #expect(resting.status == 529)
    // It rests for 30 s, of which some may have passed on a busy machine.
    #expect((1...30).contains(Int(resting.header("retry-after") ?? "") ?? 0))
    // Whose own failures they were is told those; another activation, that its provider is left alone.
    #expect(ground.session.verdict == .unreachable)
    let other = ModelSession(
      activationID: "a-2", agentID: "abc", token: GatewayGround.token, choice: ground.session.choice, maxTokens: nil)
    let listener = ModelGatewayListener()
    let port = try await listener.serve(other, ground.providers, at: .tcp(host: "127.0.0.1", port: 0))
    let answer = try await HTTPClient().send(
      HTTPRequest(
        method: "POST", url: "http://127.0.0.1:\(port)/v1/messages", headers: [("x-api-key", GatewayGround.token)],
        body: Array(JSONValue.object(GatewayGround.body(.anthropic)).compactText.utf8)))
    #expect(answer.status == 529)
    guard case .resting = other.verdict else {
      Issue.record("the verdict is \(other.verdict.map { "\($0)" } ?? "nil")")
      return
    }
    await listener.stop()
    await ground.stop()
  }

  @Test func whoGoesAwayCancelsUpstream() async throws {
    var turn = Scenario.Turn("slow")
    turn.pieces = 1000
    turn.between = .milliseconds(20)
    let ground = try await GatewayGround(Scenario([turn]))
    let client = HTTPClient()
    let body = GatewayGround.body(.anthropic, streams: true)
    let answer = try await client.stream(
      HTTPRequest(
        method: "POST", url: ground.url + "/v1/messages", headers: [("x-api-key", GatewayGround.token)],
        body: Array(JSONValue.object(body).compactText.utf8)))
    #expect(answer.status == 200)
    #expect(try await answer.body.next() != nil)
    answer.body.cancel()
    while ground.records.all.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    let record = try #require(ground.records.all.first)
    #expect(record.outcome == .cancelled)
    #expect(record.isEstimate)
    #expect(ground.session.verdict == nil)
    await ground.stop()
  }

  @Test func whoHangsUpOnTheLastWordHasCancelledNothing() async throws {
    var turn = Scenario.Turn("word")
    turn.between = .milliseconds(100)
    let ground = try await GatewayGround(Scenario([turn]))
    let body = GatewayGround.body(.anthropic, streams: true)
    let answer = try await HTTPClient().stream(
      HTTPRequest(
        method: "POST", url: ground.url + "/v1/messages", headers: [("x-api-key", GatewayGround.token)],
        body: Array(JSONValue.object(body).compactText.utf8)))
    var text = ""
    while !text.contains("message_delta"), let piece = try await answer.body.next() {
      text += String(decoding: piece, as: UTF8.self)
    }
    answer.body.cancel()
    while ground.records.all.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    let record = try #require(ground.records.all.first)
    #expect(record.outcome == .ok && !record.isEstimate && record.usage.output == 7)
    await ground.stop()
  }

  @Test func aFirstByteIsNotHeldBack() async throws {
    var turn = Scenario.Turn("a b c d")
    turn.between = .seconds(60)
    let ground = try await GatewayGround(Scenario([turn]))
    let body = GatewayGround.body(.openAIChat, streams: true)
    let started = ContinuousClock.now
    let answer = try await HTTPClient().stream(
      HTTPRequest(
        method: "POST", url: ground.url + "/v1/chat/completions", headers: [("x-api-key", GatewayGround.token)],
        body: Array(JSONValue.object(body).compactText.utf8)))
    let first = try await answer.body.next()
    #expect(first != nil)
    #expect(started.duration(to: .now) < .seconds(60))
    answer.body.cancel()
    await ground.stop()
  }

  @Test func aRequestOf32MegabytesPasses() async throws {
    let ground = try await GatewayGround(maxTokens: nil)
    let large = String(repeating: "x", count: 32 << 20)
    let answer = try await ground.send { $0["messages"] = [["role": "user", "content": .string(large)]] }
    #expect(answer.status == 200)
    #expect(ground.standIn.entries.first.map { $0.bytes > 32 << 20 } == true)
    await ground.stop()
  }

  @Test func tooMuchAtOnceIsPutOff() async throws {
    var slow = Scenario.Turn("x")
    slow.firstByte = .milliseconds(300)
    let ground = try await GatewayGround(Scenario([slow])) { $0.maxConcurrent = 1 }
    async let first = ground.send()
    while ground.standIn.entries.isEmpty, ground.session.admittedNow == 0 {
      try await Task.sleep(for: .milliseconds(5))
    }
    let second = try await ground.send()
    #expect(second.status == 429)
    #expect(second.header("retry-after") == "1")
    #expect(try await first.status == 200)
    await ground.stop()
  }
}
