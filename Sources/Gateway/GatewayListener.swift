import HTTPServer
import JSON

/// Serves one activation's gateways on the listeners that the supervisor opened for it, until the activation ends.
public actor GatewayListener {
  private var servers: [HTTPServer] = []
  private var isStopped = false

  /// Nothing is served yet.
  public init() {}

  /// Serves `server` at `/mcp/<name>` on an address; usually a handed-over listening descriptor, which is closed at `stop`.
  /// - Returns: the bound TCP port, where there is one.
  /// - Throws: what the HTTP server reports when it can't listen.
  @discardableResult
  public func serve(_ server: MCPServer, at address: ServerAddress) async throws -> Int {
    // What one agent can make the runner hold: a few bodies, each as large as the longest text written in escapes.
    var options = HTTPServer.Options()
    options.maxBodyBytes = 1 << 20
    options.maxConnections = 16
    let http = try await HTTPServer.start(at: address, options: options) { request in
      guard request.path == "/mcp/\(server.name)" else {
        return ServerResponse(
          status: 404, headers: [("Content-Type", "application/json")],
          body: try JSON.encode(
            JSONValue.object(["error": .string("this gateway serves /mcp/\(server.name) alone")])))
      }
      let answer = await server.handle(
        MCPRequest(method: request.method, headers: request.headers, body: request.body))
      if let stream = answer.stream {
        let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]
        return ServerResponse(status: answer.status, headers: answer.headers + headers) { writer in
          try await stream { try await writer.write(Array("event: message\ndata: \($0.compactText)\n\n".utf8)) }
        }
      }
      guard let body = answer.body else { return ServerResponse(status: answer.status, headers: answer.headers) }
      return ServerResponse(
        status: answer.status, headers: answer.headers + [("Content-Type", "application/json")],
        body: Array(body.compactText.utf8))
    }
    // The activation may have ended while the server started.
    guard !isStopped else {
      await http.stop()
      return http.port
    }
    servers.append(http)
    return http.port
  }

  /// Ends every server and its connections. May be called twice.
  public func stop() async {
    isStopped = true
    let ending = servers
    servers = []
    // Whoever called is gone with its sandbox; only what is on its way to the Hub is worth a moment.
    await withTaskGroup(of: Void.self) { group in
      for server in ending { group.addTask { await server.stop(grace: .seconds(2)) } }
    }
  }
}
