import Gateway
import JSON
import Testing

@testable import Runner

@Suite("What --watch shows") struct WatchTests {
  private static let call = {
    var call = ModelCallSeen(model: "m")
    (call.input, call.output, call.costUSD, call.milliseconds) = (1000, 20, 0.0125, 812.4)
    return call
  }()
  private static let tool = AuditRecord(
    activationID: "a", agentID: "bot", server: "hub", tool: "search", argumentsHash: "00", status: .ok,
    milliseconds: 3.2, bytes: 1099)

  private func lines(_ events: [WatchEvent], of tool: String = "codex") -> (lines: [WatchLog.Line?], sums: String) {
    var log = WatchLog()
    _ = log.take(.prepared(agentID: "bot", toolType: tool, model: "m", promptBytes: 1))
    return (events.map { log.take($0) }, log.sums)
  }

  @Test("lines tell counts and sums")
  func counts() {
    var side = Self.call
    (side.model, side.costUSD, side.retries) = ("side", nil, 1)
    let (lines, sums) = lines([.model(Self.call), .tool(Self.tool), .model(side), .said("Hello")])
    #expect(
      lines == [
        .init(kind: .model, text: "1,000 tokens in, 20 out, $0.0125, 812 ms; so far 1,020 tokens, $0.0125"),
        .init(kind: .tool, text: "hub.search: ok, 1,099 bytes, 3 ms"),
        .init(
          kind: .model, text: "side: 1,000 tokens in, 20 out, 812 ms, 1 retry; so far 2,040 tokens, $0.0125"),
        .init(kind: .said, text: "Hello"),
      ])
    #expect(sums == "2 model calls, 1 tool call, 2,040 tokens, $0.0125")
  }

  @Test("what went wrong is said and marked")
  func troubles() {
    var (refused, cut, tool) = (Self.call, Self.call, Self.tool)
    (refused.outcome, refused.status, refused.input, refused.output, refused.costUSD) = (.upstream, 429, 0, 0, nil)
    (cut.outcome, cut.isEstimate) = (.cut, true)
    tool.status = .refused
    let (lines, _) = lines([.model(refused), .model(cut), .tool(tool)])
    #expect(lines.allSatisfy { $0?.isBad == true })
    #expect(lines[0]?.text == "the provider answered with status 429, 812 ms; so far 0 tokens")
    #expect(
      lines[1]?.text
        == "1,000 tokens in, 20 out, estimated, $0.0125, the answer broke off, 812 ms; so far 1,020 tokens, $0.0125")
  }

  @Test("the native loop's own tools are tools; what the gateways tell is told once")
  func native() {
    let said = [
      "botburrow-agent: model: 1 tokens in, 2 out, 1 call", "botburrow-agent: mcp__hub__search: ok, 5 bytes, 1 ms",
      "botburrow-agent: Bash: error, 5 bytes, 1 ms: ls", "botburrow-agent: model: no answer in time", "another program",
    ].map { WatchEvent.said($0) }
    let (lines, sums) = lines(said, of: "native")
    #expect(
      lines == [
        nil, nil, .init(kind: .tool, text: "Bash: error, 5 bytes, 1 ms: ls", isBad: true),
        .init(kind: .said, text: "model: no answer in time"), .init(kind: .said, text: "another program"),
      ])
    #expect(sums == "0 model calls, 1 tool call, 0 tokens")
    // Another tool may say what it likes.
    #expect(self.lines(said).lines.map { $0?.kind } == Array(repeating: .said, count: 5))
  }

  @Test("JSON lines carry the sums so far")
  func json() {
    var log = WatchLog()
    _ = log.take(.model(Self.call))
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
