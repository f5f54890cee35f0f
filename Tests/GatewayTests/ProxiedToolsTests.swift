import Agents
import JSON
import Synchronization
import Testing

@testable import Gateway

/// A server in memory.
final class FakeDownstream: Downstream {
  private let listed: [JSONValue]
  private let called = Mutex<[String]>([])
  private let answer: @Sendable (String) throws(DownstreamError) -> [String: JSONValue]

  init(
    _ listed: [JSONValue],
    answer: @escaping @Sendable (String) throws(DownstreamError) -> [String: JSONValue] = { _ in ["content": []] }
  ) {
    self.listed = listed
    self.answer = answer
  }
  convenience init(names: [String]) { self.init(names.map { ["name": .string($0), "inputSchema": [:]] }) }
  var calls: [String] { called.withLock { $0 } }

  func tools() async throws(DownstreamError) -> [JSONValue] { listed }
  func call(
    _ tool: String, _ arguments: JSONValue, progress: ProgressHandler?
  ) async throws(DownstreamError) -> DownstreamResult {
    called.withLock { $0.append(tool) }
    return DownstreamResult(members: try answer(tool), bytes: 10)
  }
}

@Suite("Tools of other servers") struct ProxiedToolsTests {
  private let audited = Audited()
  private final class Audited: Sendable {
    let records = Mutex<[AuditRecord]>([])
  }

  private func server(
    _ downstream: FakeDownstream, _ grants: [Grant], change: (inout ServerEntry) -> Void = { _ in }
  ) throws -> MCPServer {
    var entry = ServerEntry(name: "github", place: .url("http://x", headers: [:]))
    entry.grants = [Grant(service: "github", permission: "write")]
    entry.tools = ["get_*": .grants([Grant(service: "github", permission: "read")]), "delete": .never]
    change(&entry)
    let tools = ProxiedTools(entry, held: HeldGrants(allowed: grants)) { () async throws(DownstreamError) in downstream
    }
    return MCPServer(
      session: GatewaySession(activationID: "a", agentID: "coder", token: "t", grants: grants), tools: tools,
      audit: Audit { [audited] record in audited.records.withLock { $0.append(record) } })
  }

  private func ask(_ server: MCPServer, _ method: String, _ parameters: JSONValue = [:], version: String = "2025-11-25")
    async throws -> MCPResponse
  {
    await server.handle(
      MCPRequest(
        headers: [("Authorization", "Bearer t"), ("MCP-Protocol-Version", version)],
        body: Array(
          JSONValue.object(["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": parameters]).compactText
            .utf8)))
  }

  @Test func `The list is what the grants open, by name`() async throws {
    let downstream = FakeDownstream(names: ["write_b", "get_z", "delete", "get_a", "write_a", "get_a"])
    let reader = try server(downstream, [Grant(service: "github", permission: "read")])
    #expect(try await ask(reader, "tools/list").body?.toolNames == ["get_a", "get_z"])
    let all = try server(downstream, [Grant(service: "github", permission: "*")])
    #expect(try await ask(all, "tools/list").body?.toolNames == ["get_a", "get_z", "write_a", "write_b"])
    let none = try server(downstream, [Grant(service: "gitlab", permission: "*")])
    #expect(try await ask(none, "tools/list").body?.toolNames == [])
  }

  @Test func `A tool that isn't granted looks, byte for byte, like one that isn't there`() async throws {
    let downstream = FakeDownstream(names: ["get_it", "put_it"])
    let server = try server(downstream, [Grant(service: "github", permission: "read")])
    let call: @Sendable (String) async throws -> MCPResponse = { name in
      try await ask(server, "tools/call", ["name": .string(name), "arguments": ["x": 1]])
    }
    let (denied, unknown, never) = (try await call("put_it"), try await call("pot_it"), try await call("delete"))
    #expect(denied.body?.compactText.replacing("put_it", with: "pot_it") == unknown.body?.compactText)
    #expect(never.body?.compactText.replacing("delete", with: "pot_it") == unknown.body?.compactText)
    #expect(denied.status == unknown.status)
    #expect(denied.headers.map(\.name) == unknown.headers.map(\.name))
    #expect(unknown.body?["error"] == ["code": -32602, "message": "Unknown tool: pot_it"])
    // Nothing that is denied reaches the server; the control does.
    #expect(downstream.calls == [])
    #expect(try await call("get_it").body?["result"]?["content"] == [])
    #expect(downstream.calls == ["get_it"])
    #expect(audited.records.withLock { $0.map(\.status) } == [.unknown, .unknown, .unknown, .ok])
    let record = try #require(audited.records.withLock { $0.last })
    #expect(record.server == "github")
    #expect(record.bytes == 10)
    #expect(record.argumentsHash.count == 64)
  }

  @Test func `Each revision gets the members that it knows`() async throws {
    let tool: JSONValue = [
      "name": "get_a", "title": "A", "description": "d", "inputSchema": ["type": "object"], "outputSchema": [:],
      "icons": [], "execution": ["taskSupport": "optional"], "annotations": ["readOnlyHint": true],
    ]
    let downstream = FakeDownstream([tool]) { _ in
      ["content": [["type": "resource_link", "uri": "x:y"]], "structuredContent": ["a": 1], "_meta": ["b": 2]]
    }
    let server = try server(downstream, [Grant(service: "github", permission: "read")])
    for (version, members, structured) in [
      ("2025-03-26", ["annotations", "description", "inputSchema", "name"], false),
      ("2025-06-18", ["annotations", "description", "inputSchema", "name", "outputSchema", "title"], true),
      ("2025-11-25", ["annotations", "description", "icons", "inputSchema", "name", "outputSchema", "title"], true),
    ] {
      let list = try await ask(server, "tools/list", version: version)
      #expect(list.body?["result"]?["tools"]?.array?.first?.object?.keys.sorted() == members)
      let call = try await ask(server, "tools/call", ["name": "get_a"], version: version)
      #expect((call.body?["result"]?["structuredContent"] != nil) == structured)
      #expect(
        call.body?["result"]?["content"]?.array?.first?["type"]?.string == (structured ? "resource_link" : "text"))
      #expect(call.body?["result"]?["_meta"] == nil)
    }
  }

  @Test func `A server that fails is told in words, without anything of the host`() async throws {
    for (error, words) in [
      (.timeout(.seconds(5)), "get_a: server 'github' did not answer within 5 s"),
      (.ended, "get_a: server 'github' has ended; its tools are away for this activation"),
      (.tooLarge(limit: 1024), "get_a: server 'github' answered with more than 1024 bytes; ask for less"),
      (.unreadable("/etc/x"), "get_a: server 'github' gave an answer that can't be read"),
    ] as [(DownstreamError, String)] {
      let downstream = FakeDownstream([["name": "get_a"]]) { _ throws(DownstreamError) in throw error }
      let server = try server(downstream, [Grant(service: "github", permission: "read")])
      let answer = try await ask(server, "tools/call", ["name": "get_a"]).body
      #expect(answer?.toolText == words)
      #expect(answer?.isToolError == true)
    }
    let refusing = FakeDownstream([["name": "get_a"]]) { _ throws(DownstreamError) in
      throw .refused(code: -32602, message: "no such repository")
    }
    let answer = try await ask(
      try server(refusing, [Grant(service: "github", permission: "read")]), "tools/call", ["name": "get_a"])
    #expect(answer.body?["error"] == ["code": -32602, "message": "no such repository"])
    #expect(audited.records.withLock { $0.map(\.status) } == [.failed, .failed, .failed, .failed, .failed])
  }
}
