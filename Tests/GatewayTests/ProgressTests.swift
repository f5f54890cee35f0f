import Agents
import EventStream
import Glibc
import HTTPClient
import HTTPServer
import JSON
import Synchronization
import Testing

@testable import Gateway

/// Progress, from a server behind the gateway to the client that asked for it, in both eras and on both kinds of wire.
@Suite struct ProgressTests {
  /// Two notifications on the way, one of somebody else's call, then the result.
  private static func messages(_ message: JSONValue) -> [String] {
    let token = message["params"]?["_meta"]?["progressToken"] ?? .null
    func told(_ token: JSONValue, _ progress: JSONValue, _ more: [String: JSONValue] = [:]) -> String {
      JSONValue.object([
        "jsonrpc": "2.0", "method": "notifications/progress",
        "params": .object(["progressToken": token, "progress": progress].merging(more) { $1 }),
      ]).compactText
    }
    return [
      told(token, 1, ["total": 2, "message": "half of canary-key"]), told("another", 9), told(token, "nonsense"),
      told(token, 2), StdioServer.result(message, ["content": [["type": "text", "text": "done"]]]),
    ]
  }

  /// A front of a server for an agent that may use all of it.
  private func front(_ downstream: any Downstream) -> MCPServer {
    var entry = ServerEntry(name: "slow", place: .url("http://x", headers: [:]))
    entry.grants = [Grant(service: "slow", permission: "use")]
    let grants = [Grant(service: "slow", permission: "use")]
    let tools = ProxiedTools(entry, held: HeldGrants(allowed: grants)) { () async throws(DownstreamError) in downstream
    }
    return MCPServer(
      session: GatewaySession(activationID: "a", agentID: "coder", token: Caller.token, grants: grants), tools: tools,
      audit: Audit { _ in })
  }

  /// One call over a socket. The messages of the answer, and its content type.
  private func call(
    _ server: MCPServer, version: String, token: JSONValue? = "mine",
    accept: String = "application/json, text/event-stream"
  ) async throws -> (type: String?, messages: [JSONValue]) {
    let listener = GatewayListener()
    let port = try await listener.serve(server, at: .tcp(host: "127.0.0.1", port: 0))
    var meta: [String: JSONValue] = [:]
    if version == "2026-07-28" { meta = [MCPMeta.version: .string(version), MCPMeta.clientCapabilities: [:]] }
    meta["progressToken"] = token
    let body: JSONValue = [
      "jsonrpc": "2.0", "id": 7, "method": "tools/call",
      "params": ["name": "go", "arguments": [:], "_meta": .object(meta)],
    ]
    let answer = try await HTTPClient().send(
      HTTPRequest(
        method: "POST", url: "http://127.0.0.1:\(port)/mcp/slow",
        headers: [
          ("Authorization", "Bearer \(Caller.token)"), ("Content-Type", "application/json"), ("Accept", accept),
          ("MCP-Protocol-Version", version), ("Mcp-Method", "tools/call"), ("Mcp-Name", "go"),
        ], body: Array(body.compactText.utf8)))
    await listener.stop()
    #expect(answer.status == 200)
    var parser = SSEParser()
    let type = answer.header("content-type")
    let texts = type == "text/event-stream" ? parser.feed(answer.body).map(\.data) : [answer.body]
    return (type, try texts.map { try JSONValue(parsing: $0) })
  }

  private func expectTold(_ messages: [JSONValue], _ token: JSONValue) {
    #expect(messages.count == 3)
    #expect(
      messages.first == [
        "jsonrpc": "2.0", "method": "notifications/progress",
        "params": ["progressToken": token, "progress": 1, "total": 2, "message": "half of ***"],
      ])
    #expect(messages.dropFirst().first?["params"] == ["progressToken": token, "progress": 2])
    #expect(messages.last?["id"] == 7 && messages.last?.toolText == "done")
  }

  @Test(arguments: ["2025-03-26", "2025-11-25", "2026-07-28"])
  func `A program's progress reaches the client under the client's own token`(version: String) async throws {
    let server = try StdioServer(StdioServer.ordinary(tools: ["go"], call: Self.messages))
    let client = try await server.client { $0.redactor = Redactor(["canary-key"]) }
    for token in ["mine", 42] as [JSONValue] {
      let (type, messages) = try await call(front(client), version: version, token: token)
      #expect(type == "text/event-stream")
      expectTold(messages, token)
    }
    // The control: who doesn't ask, or can't read a stream, gets one answer; a server that nobody asks isn't asked to tell.
    for (token, accept) in [(nil, "application/json, text/event-stream"), ("mine", "application/json")]
      as [(JSONValue?, String)]
    {
      let (type, messages) = try await call(front(client), version: version, token: token, accept: accept)
      #expect(type == "application/json" && messages.count == 1 && messages[0].toolText == "done")
      #expect(server.messages.last?["params"]?["_meta"] == nil)
    }
    client.close()
  }

  /// Whether in pieces or in one that has no end: some servers close after their last event's data.
  @Test(arguments: [true, false], [true, false])
  func `So does that of a server with a URL, in the era that it speaks`(
    isStateless: Bool, inOne: Bool
  ) async throws {
    let asked = Mutex<JSONValue?>(nil)
    let remote = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { request in
      let message = try JSONValue(parsing: request.body)
      func json(_ result: JSONValue) -> ServerResponse {
        ServerResponse(
          status: 200, headers: [("Content-Type", "application/json")],
          body: Array(StdioServer.result(message, result).utf8))
      }
      switch message["method"]?.string {
      case "server/discover" where isStateless: return json(["supportedVersions": ["2026-07-28"]])
      case "initialize": return json(["protocolVersion": "2025-11-25", "capabilities": ["tools": [:]]])
      case "tools/list": return json(["tools": [["name": "go", "inputSchema": [:]]]])
      case "tools/call":
        asked.withLock { $0 = message }
        return ServerResponse(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
          let events = Self.messages(message).map { "data: \($0)" }
          for piece in inOne ? [events.joined(separator: "\n\n")] : events.map({ $0 + "\n\n" }) {
            try await writer.write(Array(piece.utf8))
          }
        }
      default: return ServerResponse(status: 202)
      }
    }
    let downstream = HTTPDownstream(
      url: "http://127.0.0.1:\(remote.port)/mcp", headers: [], transport: HTTPClient(), callTimeout: .seconds(20),
      resultLimit: 4096, redactor: Redactor(["canary-key"]))
    let (_, messages) = try await call(front(downstream), version: "2025-11-25")
    expectTold(messages, "mine")
    let meta = asked.withLock { $0 }?["params"]?["_meta"]
    #expect((meta?[MCPMeta.version] != nil) == isStateless && meta?["progressToken"]?.integer != nil)
    await remote.stop()
  }

  @Test func `Progress comes before the result, not with it`() async throws {
    let isTold = Mutex(false)
    let going = Mutex<StdioServer?>(nil)
    // It goes on only when its client has heard how far it is.
    let server = try StdioServer(
      StdioServer.ordinary(
        tools: ["go"],
        call: { message in
          let told = Self.messages(message)
          if let server = going.withLock({ $0 }) {
            try? server.say(told[0])
            for _ in 0..<10_000 where !isTold.withLock({ $0 }) { usleep(1000) }
          }
          return isTold.withLock { $0 } ? [told[4]] : []
        }))
    going.withLock { $0 = server }
    let client = try await server.client { $0.callTimeout = .seconds(30) }
    let result = try await client.call("go", [:]) { progress in
      #expect(progress.members["progress"] == 1)
      isTold.withLock { $0 = true }
    }
    #expect(result.members["content"]?.array?.count == 1)
    client.close()
    going.withLock { $0 = nil }
  }

  @Test func `What has too many bytes ends a stream as well`() async throws {
    let remote = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { request in
      let message = try JSONValue(parsing: request.body)
      guard message["method"] == "tools/call" else {
        let result: JSONValue = ["supportedVersions": ["2026-07-28"]]
        return ServerResponse(
          status: 200, headers: [("Content-Type", "application/json")],
          body: Array(StdioServer.result(message, result).utf8))
      }
      return ServerResponse(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
        while true { try await writer.write(Array(repeating: 120, count: 1000)) }
      }
    }
    let downstream = HTTPDownstream(
      url: "http://127.0.0.1:\(remote.port)/mcp", headers: [], transport: HTTPClient(), callTimeout: .seconds(20),
      resultLimit: 4096)
    await #expect(throws: DownstreamError.tooLarge(limit: 4096)) {
      try await downstream.call("go", [:], progress: { _ in })
    }
    await remote.stop()
  }
}
