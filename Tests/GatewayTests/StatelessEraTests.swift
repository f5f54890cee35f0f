import JSON
import Testing

@testable import Gateway

@Suite("The stateless era: 2026-07-28")
struct StatelessEraTests {
  @Test("server/discover says what is spoken and offered")
  func discover() async throws {
    let answer = try await Caller().stateless("server/discover")
    #expect(answer.status == 200)
    let result = answer.body?["result"]
    #expect(result?["resultType"] == "complete")
    #expect(result?["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"])
    #expect(result?["capabilities"] == ["tools": [:]])
    #expect(result?["cacheScope"] == "private")
    #expect(result?["ttlMs"] == 300_000)
    #expect(result?["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"] == "botburrow-hub")
  }

  @Test("lists and results say how long they last and that they are whole")
  func results() async throws {
    let list = try await Caller().stateless("tools/list")
    #expect(list.body?.toolNames == ["search", "get_thread", "create_comment", "create_post"])
    #expect(list.body?["result"]?["resultType"] == "complete")
    #expect(list.body?["result"]?["ttlMs"] == 300_000)
    #expect(list.body?["result"]?["cacheScope"] == "private")
    let call = try await Caller().stateless("tools/call", ["name": "search", "arguments": ["query": "x"]])
    #expect(call.body?["result"]?["resultType"] == "complete")
    #expect(call.body?["result"]?["structuredContent"] == ["results": []])
    #expect(call.body?["result"]?["ttlMs"] == nil)
  }

  @Test(
    "headers must agree with the body",
    arguments: [
      (["Mcp-Method": nil], "the header Mcp-Method is missing"),
      (["Mcp-Method": "tools/list"], "the header Mcp-Method does not agree with the body's 'method'"),
      (["Mcp-Name": nil], "the header Mcp-Name is missing"),
      (["Mcp-Name": "create_post"], "the header Mcp-Name does not agree with the body's 'params.name'"),
      (["MCP-Protocol-Version": nil], "the header MCP-Protocol-Version is missing"),
      (
        ["MCP-Protocol-Version": "2025-11-25"],
        "the header MCP-Protocol-Version does not agree with the body's '_meta'"
      ),
      (["Mcp-Name": "=?base64?!!!?="], "the header Mcp-Name does not agree with the body's 'params.name'"),
    ] as [([String: String?], String)])
  func disagreement(_ headers: [String: String?], _ message: String) async throws {
    let caller = Caller()
    let answer = try await caller.stateless(
      "tools/call", ["name": "search", "arguments": ["query": "x"]], headers: headers)
    #expect(answer.status == 400)
    #expect(answer.body?.errorCode == -32020)
    #expect(answer.body?.errorMessage == message)
    #expect(answer.body?["id"] == "a")
    #expect(caller.hub.state.calls.isEmpty)
  }

  @Test("a name may travel as base64")
  func encodedName() async throws {
    let answer = try await Caller().stateless(
      "tools/call", ["name": "search", "arguments": ["query": "x"]], headers: ["Mcp-Name": "=?base64?c2VhcmNo?="])
    #expect(answer.body?.isToolError == false)
  }

  @Test("a header that appears twice is refused, since two readers could take different ones")
  func duplicate() async throws {
    let body =
      #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"#
      + #""2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
    let answer = await Caller().send(
      body, version: "2026-07-28", headers: [("Mcp-Method", "tools/list"), ("mcp-method", "tools/call")])
    #expect(answer.body?.errorMessage == "the header Mcp-Method appears more than once")
  }

  @Test("an unknown revision is -32022 with those that are known")
  func version() async throws {
    for version in ["2031-01-01", "2025-11-25"] {
      let answer = try await Caller().stateless("tools/list", version: version)
      #expect(answer.status == 400)
      #expect(answer.body?.errorCode == -32022)
      #expect(answer.body?["error"]?["data"]?["requested"]?.string == version)
      #expect(answer.body?["error"]?["data"]?["supported"]?.array?.first == "2026-07-28")
    }
  }

  @Test(
    "an unknown method is 404; so are those that this revision dropped",
    arguments: ["ping", "initialize", "logging/setLevel", "resources/list"])
  func unknownMethod(_ method: String) async throws {
    let answer = try await Caller().stateless(method)
    #expect(answer.status == 404)
    #expect(answer.body?.errorCode == -32601)
    #expect(answer.body?.errorMessage == "Unknown method: \(method)")
  }

  @Test(
    "each request says everything in _meta",
    arguments: [
      (#"{}"#, "'params._meta' is missing; 2026-07-28 requires it on every request"),
      (#"{"_meta":{}}"#, "'params._meta' lacks 'io.modelcontextprotocol/protocolVersion'"),
      (
        #"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
        "'params._meta' lacks 'io.modelcontextprotocol/clientCapabilities'"
      ),
      (
        #"{"_meta":{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":{}}}"#,
        "'params._meta' has a 'io.modelcontextprotocol/protocolVersion' that is not a string"
      ),
    ])
  func meta(_ parameters: String, _ message: String) async {
    let answer = await Caller().send(
      #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":\#(parameters)}"#, version: "2026-07-28",
      headers: [("Mcp-Method", "tools/list")])
    #expect(answer.status == 400)
    #expect(answer.body?.errorCode == -32602)
    #expect(answer.body?.errorMessage == message)
  }

  @Test("a notification is 202")
  func notification() async {
    let answer = await Caller().send(#"{"jsonrpc":"2.0","method":"notifications/x"}"#, version: "2026-07-28")
    #expect(answer.status == 202)
  }
}
