import Agents
import Hub
import JSON
import Synchronization
import TestSupport

@testable import Gateway

/// An agent at the gateway: sends messages to one activation's server and keeps what was audited.
final class Caller: Sendable {
  static let token = "token-of-this-activation"
  let hub = FakeHub()
  let ledger: ActivationLedger
  let audited = Mutex<[AuditRecord]>([])
  let grants: [Grant]
  let activationID: String
  let limits: any EffectLimits

  init(
    grants: [Grant] = [Grant(service: "hub", permission: "read"), Grant(service: "hub", permission: "write")],
    activationID: String = "5c1e2f9a", ledger: ActivationLedger = ActivationLedger(),
    limits: any EffectLimits = UnlimitedEffects()
  ) {
    self.grants = grants
    self.activationID = activationID
    self.ledger = ledger
    self.limits = limits
  }

  var session: GatewaySession {
    GatewaySession(activationID: activationID, agentID: "claude-coder-1", token: Self.token, grants: grants)
  }

  func server(hub: (any HubAPI)? = nil, ledger: ActivationLedger? = nil) -> MCPServer {
    MCPServer(
      session: session, hub: hub ?? self.hub, ledger: ledger ?? self.ledger,
      audit: Audit { record in self.audited.withLock { $0.append(record) } }, limits: limits,
      originHosts: ["198.18.0.1"], now: { [instant = ContinuousClock.now] in instant })
  }

  /// Sends a body in the era of `initialize`.
  func send(
    _ body: String, version: String? = "2025-11-25", method: String = "POST",
    headers: [(name: String, value: String)] = []
  ) async -> MCPResponse {
    var all: [(name: String, value: String)] = [("authorization", "Bearer \(Self.token)")]
    if let version { all.append(("MCP-Protocol-Version", version)) }
    return await server().handle(MCPRequest(method: method, headers: all + headers, body: Array(body.utf8)))
  }

  /// Calls a tool in the era of `initialize`.
  func call(_ tool: String, _ arguments: JSONValue, on server: MCPServer? = nil) async throws -> JSONValue {
    let body: JSONValue = [
      "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["name": .string(tool), "arguments": arguments],
    ]
    let answer = await (server ?? self.server()).handle(
      MCPRequest(
        headers: [("Authorization", "Bearer \(Self.token)"), ("MCP-Protocol-Version", "2025-11-25")],
        body: try JSON.encode(body)))
    return answer.body ?? .null
  }

  /// Sends a request of the stateless revision; `headers` replace those that agree with the body.
  func stateless(
    _ method: String, _ parameters: [String: JSONValue] = [:], version: String = "2026-07-28",
    headers: [String: String?] = [:], meta: JSONValue? = nil
  ) async throws -> MCPResponse {
    var parameters = parameters
    parameters["_meta"] =
      meta ?? [
        "io.modelcontextprotocol/protocolVersion": .string(version), "io.modelcontextprotocol/clientCapabilities": [:],
      ]
    var all: [String: String] = ["MCP-Protocol-Version": version, "Mcp-Method": method]
    all["Mcp-Name"] = parameters["name"]?.string
    for (name, value) in headers { all[name] = value }
    all["Authorization"] = "Bearer \(Self.token)"
    let body: JSONValue = ["jsonrpc": "2.0", "id": "a", "method": .string(method), "params": .object(parameters)]
    return await server().handle(
      MCPRequest(headers: all.map { (name: $0.key, value: $0.value) }, body: try JSON.encode(body)))
  }
}

extension JSONValue {
  /// The text of a tool's first content block.
  var toolText: String? { self["result"]?["content"]?.array?.first?["text"]?.string }
  var isToolError: Bool? { self["result"]?["isError"]?.bool }
  var errorCode: Int64? { self["error"]?["code"]?.integer }
  var errorMessage: String? { self["error"]?["message"]?.string }
  /// Names in a `tools/list` result.
  var toolNames: [String] { (self["result"]?["tools"]?.array ?? []).compactMap { $0["name"]?.string } }
}
