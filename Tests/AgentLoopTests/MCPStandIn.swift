import HTTPServer
import JSON
import Synchronization

/// An MCP server of the revision without sessions, as strict about its headers as the gateway is.
final class MCPStandIn: Sendable {
  private let server: HTTPServer
  private let heard: Requests
  var url: String { "http://127.0.0.1:\(server.port)/mcp/clock" }
  var requests: [JSONValue] { heard.all.withLock { $0 } }

  private final class Requests: Sendable { let all = Mutex<[JSONValue]>([]) }

  /// - Parameter streams: whether answers are event streams.
  static func start(token: String, streams: Bool = false) async throws -> MCPStandIn {
    let heard = Requests()
    let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { request in
      guard request.header("authorization") == "Bearer \(token)" else { return ServerResponse(status: 401) }
      let message = try JSONValue(parsing: request.body)
      heard.all.withLock { $0.append(message) }
      let method = message["method"]?.string ?? ""
      guard request.header("mcp-protocol-version") == "2026-07-28", request.header("mcp-method") == method,
        message["params"]?["_meta"]?["io.modelcontextprotocol/protocolVersion"] == "2026-07-28",
        method != "tools/call" || request.header("mcp-name") == message["params"]?["name"]?.string
      else { return try .json(400, ["error": ["code": -32020, "message": "headers"]] as JSONValue) }
      let answer: JSONValue = [
        "jsonrpc": "2.0", "id": message["id"] ?? .null, "result": result(method, message["params"] ?? .null),
      ]
      guard streams else { return try .json(200, answer) }
      return ServerResponse(
        status: 200, headers: [("Content-Type", "text/event-stream")],
        body: Array(
          "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\ndata: \(answer.compactText)\n\n".utf8))
    }
    return MCPStandIn(server, heard)
  }

  private init(_ server: HTTPServer, _ heard: Requests) {
    self.server = server
    self.heard = heard
  }

  func stop() async { await server.stop(grace: .zero) }

  /// Two pages of one tool each.
  private static func result(_ method: String, _ parameters: JSONValue) -> JSONValue {
    switch (method, parameters["cursor"]?.string, parameters["name"]?.string) {
    case ("tools/list", nil, _):
      ["tools": [["name": "now", "description": "The time.", "inputSchema": ["type": "object"]]], "nextCursor": "2"]
    case ("tools/list", _, _): ["tools": [["name": "broken", "inputSchema": ["type": "object"]]]]
    case (_, _, "now"):
      ["content": [["type": "text", "text": .string("noon in \(parameters["arguments"]?["zone"]?.string ?? "?")")]]]
    case (_, _, "broken"): ["content": [["type": "text", "text": "the clock is broken"]], "isError": true]
    default: [:]
    }
  }
}
