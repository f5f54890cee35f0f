import Gateway
import JSON
import Testing

@testable import Runner

@Suite("What --watch shows") struct WatchTests {
  private static let call = ModelCallSeen(
    model: "m", status: 200, input: 1000, output: 20, costUSD: 0.0125, milliseconds: 812.4, isEstimate: false)
  private static let tool = AuditRecord(
    activationID: "a", agentID: "bot", server: "hub", tool: "search", argumentsHash: "00", status: .ok,
    milliseconds: 3.2, bytes: 99)

  @Test("lines tell counts and sums; what went wrong is marked")
  func lines() {
    var log = WatchLog()
    for event in [WatchEvent.model(Self.call), .tool(Self.tool), .model(Self.call)] { log.count(event) }
    #expect(
      log.words(.model(Self.call))
        == (
          .model,
          "m: 1000 tokens in, 20 out, $0.0125, 812 ms; so far 2 model calls, 1 of tools, 2040 tokens, $0.0250", false
        ))
    #expect(log.words(.tool(Self.tool)) == (.tool, "hub.search: ok, 99 bytes, 3 ms", false))
    var refused = Self.call
    refused.status = 429
    #expect(log.words(.model(refused)) == (.model, "m: refused with status 429, 812 ms", true))
  }

  @Test("JSON lines carry the sums so far")
  func json() {
    var log = WatchLog()
    log.count(.model(Self.call))
    let line = log.json(.model(Self.call), seconds: 1.23456)
    #expect(line["event"] == "model_call" && line["total_tokens"] == 1020 && line["seconds"] == 1.235)
    #expect(log.json(.tool(Self.tool), seconds: 1)["tool"] == "search")
  }

  @Test("standard error comes in lines without control characters")
  func cutting() {
    var lines = LineCutter()
    #expect(lines.take(Array("a\u{1B}[31m\nb".utf8)) == ["a [31m"])
    #expect(lines.take(Array("c\n\nd".utf8)) == ["bc"])
  }
}
