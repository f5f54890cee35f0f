import JSON
import Testing

@testable import Gateway

@Suite("The era of initialize: 2025-03-26 to 2025-11-25")
struct HandshakeEraTests {
  @Test("initialize answers the revision that was asked for", arguments: ["2025-11-25", "2025-06-18", "2025-03-26"])
  func initialize(_ version: String) async {
    let answer = await Caller().send(
      #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"\#(version)","capabilities":{}}}"#,
      version: nil)
    #expect(answer.status == 200)
    #expect(answer.body?["id"] == 0)
    #expect(answer.body?["result"]?["protocolVersion"]?.string == version)
    #expect(answer.body?["result"]?["capabilities"] == ["tools": ["listChanged": false]])
    #expect(answer.body?["result"]?["serverInfo"]?["name"] == "botburrow-hub")
    #expect(answer.body?["result"]?["resultType"] == nil)
    #expect(!answer.headers.contains { $0.name.lowercased() == "mcp-session-id" })
  }

  @Test("initialize offers 2025-11-25 to whom it doesn't know", arguments: ["2024-11-05", "2026-07-28", "x"])
  func counterOffer(_ version: String) async {
    let answer = await Caller().send(
      #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"\#(version)"}}"#, version: nil)
    #expect(answer.body?["result"]?["protocolVersion"]?.string == "2025-11-25")
  }

  @Test("notifications and answers are taken with 202 and no body")
  func accepted() async {
    for body in [
      #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
      #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
      #"{"jsonrpc":"2.0","id":4,"result":{}}"#,
    ] {
      let answer = await Caller().send(body)
      #expect(answer.status == 202)
      #expect(answer.body == nil)
    }
  }

  @Test(
    "bad messages",
    arguments: [
      ("{", -32700, "Parse error: the body is not JSON"),
      ("7", -32600, "Invalid request: the body is not a JSON-RPC object"),
      (#"{"id":1,"method":"ping"}"#, -32600, "Invalid request: 'jsonrpc' is not \"2.0\""),
      (#"{"jsonrpc":"2.0","id":1}"#, -32600, "Invalid request: 'method' is missing"),
      (#"{"jsonrpc":"2.0","id":1,"method":5}"#, -32600, "Invalid request: 'method' is not a string"),
      (
        #"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600,
        "Invalid request: 'id' is not a string or a whole number"
      ),
      (
        #"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, -32600,
        "Invalid request: 'id' is not a string or a whole number"
      ),
      (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, -32600, "Invalid request: 'params' is not an object"),
      (
        #"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600,
        "the body is an array; this revision takes one message a request"
      ),
    ])
  func malformed(_ body: String, _ code: Int64, _ message: String) async {
    let answer = await Caller().send(body)
    #expect(answer.status == 400)
    #expect(answer.body?.errorCode == code)
    #expect(answer.body?.errorMessage == message)
  }

  @Test("a body that is nested without end is refused, not recursed into")
  func nested() async {
    for body in [String(repeating: "[", count: 500_000), String(repeating: #"{"a":"#, count: 100_000)] {
      let answer = await Caller().send(body)
      #expect(answer.status == 400)
      #expect(answer.body?.errorMessage == "Parse error: the body is not JSON")
    }
  }

  @Test("errors of requests that could be read stay in HTTP 200")
  func errors() async {
    let caller = Caller()
    let unknown = await caller.send(#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#)
    #expect(unknown.status == 200)
    #expect(unknown.body?.errorCode == -32601)
    #expect(unknown.body?.errorMessage == "Unknown method: resources/list")
    let nameless = await caller.send(#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#)
    #expect(nameless.status == 200)
    #expect(nameless.body?.errorMessage == "tools/call: 'name' is missing")
    let noVersion = await caller.send(#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#)
    #expect(noVersion.body?.errorMessage == "initialize: 'protocolVersion' is missing")
  }

  @Test("a header with a revision that isn't spoken here is 400")
  func unknownVersion() async {
    for body in [#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, #"{"jsonrpc":"2.0","method":"notifications/x"}"#] {
      let answer = await Caller().send(body, version: "2024-11-05")
      #expect(answer.status == 400)
      #expect(answer.body?.errorCode == -32022)
      #expect(answer.body?.errorMessage == "Unsupported protocol version: 2024-11-05")
      #expect(
        answer.body?["error"]?["data"] == [
          "supported": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"], "requested": "2024-11-05",
        ])
    }
  }

  @Test("2025-03-26 has batches and no structured content")
  func oldest() async {
    let batch =
      #"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},"#
      + #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"x"}}}]"#
    let answer = await Caller().send(batch, version: nil)
    #expect(answer.status == 200)
    #expect(answer.body?.array?.count == 2)
    #expect(answer.body?.array?.last?["result"]?["content"] == [["type": "text", "text": #"{"results":[]}"#]])
    #expect(answer.body?.array?.last?["result"]?["structuredContent"] == nil)
    let empty = await Caller().send("[]", version: nil)
    #expect(empty.body?.errorMessage == "a batch has between 1 and 32 messages")
  }
}
