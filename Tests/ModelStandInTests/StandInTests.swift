import HTTPClient
import JSON
import Testing

@testable import ModelStandIn

/// The stand-in of the model providers must itself be right: what it journals is what others are measured by.
@Suite struct StandInTests {
  func post(_ standIn: ModelStandIn, _ path: String, _ body: JSONValue, key: String = "stand-in-key") async throws
    -> HTTPResponse
  {
    try await HTTPClient().send(
      HTTPRequest(
        method: "POST", url: standIn.url + path, headers: [("x-api-key", key), ("Content-Type", "application/json")],
        body: Array(body.compactText.utf8)))
  }

  /// The data of each event.
  func events(_ response: HTTPResponse) throws -> [JSONValue] {
    try String(decoding: response.body, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("data: {") }
      .map { try JSONValue(parsing: $0.dropFirst(6).utf8) }
  }

  @Test func anthropicStreamsAToolByItsSuffix() async throws {
    let standIn = try await ModelStandIn.start(
      Scenario([.init("Let me look.", calls: [.init("search", ["query": "owl"])]), .init("Found.")]))
    let tools: JSONValue = [["name": "mcp__hub__search", "input_schema": ["type": "object"]]]
    let first = try await post(
      standIn, "/v1/messages?beta=true",
      ["model": "m", "stream": true, "tools": tools, "messages": [["role": "user", "content": "hi"]]])
    let events = try events(first)
    #expect(
      events.compactMap { $0["type"]?.string } == [
        "message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_stop", "content_block_start", "content_block_delta",
        "content_block_delta", "content_block_stop", "message_delta", "message_stop",
      ])
    #expect(events[7]["content_block"]?["name"] == "mcp__hub__search")
    let json = events.compactMap { $0["delta"]?["partial_json"]?.string }.joined()
    #expect(try JSONValue(parsing: json.utf8) == ["query": "owl"])
    #expect(events[11]["usage"]?["output_tokens"] == 7)
    let second = try await post(
      standIn, "/v1/messages",
      [
        "model": "m", "tools": tools,
        "messages": [
          ["role": "user", "content": "hi"], ["role": "assistant", "content": "…"], ["role": "user", "content": "…"],
        ],
      ])
    let whole = try JSONValue(parsing: second.body)
    #expect(whole["content"]?.array?.first?["text"] == "Found.")
    #expect(whole["usage"]?["input_tokens"] == 2001)
    #expect(standIn.entries.map(\.query) == ["beta=true", ""])
    #expect(standIn.sent == Scenario.Usage(input: 3002, cacheRead: 134, cacheWrite: 36, output: 15))
    await standIn.stop()
  }

  @Test func chatTellsItsUsageWhereAsked() async throws {
    let standIn = try await ModelStandIn.start(Scenario([.init("", calls: [.init("Bash", ["command": "ls"])])]))
    let body: JSONValue = [
      "model": "m", "stream": true, "stream_options": ["include_usage": true],
      "tools": [["type": "function", "function": ["name": "Bash"]]], "messages": [["role": "user", "content": "x"]],
    ]
    let events = try events(try await post(standIn, "/v1/chat/completions", body))
    let parts = events.compactMap { $0["choices"]?.array?.first?["delta"]?["tool_calls"]?.array?.first?["function"] }
    #expect(parts.first?["name"] == "Bash")
    #expect(parts.compactMap { $0["arguments"]?.string }.joined() == #"{"command":"ls"}"#)
    #expect(events.last?["choices"] == [])
    #expect(events.last?["usage"]?["prompt_tokens"] == 1018)
    await standIn.stop()
  }

  @Test func responsesCallFreeformAndGroupedTools() async throws {
    let standIn = try await ModelStandIn.start(
      Scenario([.init("", calls: [.init("apply_patch", ["input": "*** Begin"]), .init("search", [:])])]))
    let body: JSONValue = [
      "model": "m", "stream": true, "input": [["role": "user", "content": "x"]],
      "tools": [
        ["type": "custom", "name": "apply_patch"],
        ["type": "namespace", "name": "mcp__hub", "tools": [["type": "function", "name": "search"]]],
      ],
    ]
    let events = try events(try await post(standIn, "/v1/responses", body))
    let items = events.filter { $0["type"] == "response.output_item.done" }.compactMap { $0["item"] }
    #expect(items.map { $0["type"]?.string } == ["custom_tool_call", "function_call"])
    #expect(items.map { $0["namespace"]?.string } == [nil, "mcp__hub"])
    #expect(events.last?["type"] == "response.completed")
    #expect(events.last?["response"]?["usage"]?["input_tokens"] == 1018)
    await standIn.stop()
  }

  @Test func itMisbehavesAsToldAndThenNoMore() async throws {
    var cut = Scenario.Turn("one two three")
    cut.cutAfter = 3
    let standIn = try await ModelStandIn.start(
      Scenario([.init(refusal: .init(429, retryAfter: 3, times: 1), thenText: "There.")], others: ["cut": [cut]]))
    let body: JSONValue = ["model": "m", "messages": []]
    let refused = try await post(standIn, "/v1/messages", body)
    #expect(refused.status == 429)
    #expect(refused.header("retry-after") == "3")
    #expect(try await post(standIn, "/v1/messages", body).status == 200)
    #expect(try await post(standIn, "/v1/messages", body, key: "other").status == 401)
    await #expect(throws: HTTPClientError.self) {
      _ = try await post(standIn, "/v1/messages", ["model": "cut", "stream": true, "messages": []])
    }
    #expect(standIn.entries.map(\.status) == [429, 200, 401, 200])
    #expect(standIn.entries.map(\.cut) == [false, false, false, true])
    #expect(standIn.entries.last?.usage?.output == 0)
    #expect(standIn.entries.map(\.key) == [.right, .right, .wrong, .right])
    await standIn.stop()
  }

  @Test func aSandboxTokenShows() async throws {
    let token = String(repeating: "0a", count: 32)
    #expect(holdsToken("Bearer \(token)"))
    #expect(!holdsToken(String(token.dropLast())))
  }

  @Test func scenariosAreReadFromFiles() throws {
    let text =
      #"{"turns":[{"tool":"Write","arguments":{"a":1}},{"status":529,"times":2}],"scenarios":{"x":[{"text":"y"}]}}"#
    let scenario = try Scenario(parsing: text.utf8)
    #expect(scenario.turns[0].calls == [.init("Write", ["a": 1])])
    #expect(scenario.turns[1].refusal == .init(529, times: 2))
    #expect(scenario.others["x"] == [.init("y")])
    #expect(throws: ScenarioError(description: "'turns[0].txt' is not a key of a turn")) {
      _ = try Scenario(parsing: #"{"turns":[{"txt":"y"}]}"#.utf8)
    }
  }
}
