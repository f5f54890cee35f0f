import EventStream
import HTTPClient
import JSON
import Synchronization

/// The client of a tool server with a URL (Streamable HTTP): the stateless revision where the server speaks it, else the
/// handshake of 2025-11-25 and older. Answers may be JSON or a stream of events.
public final class HTTPDownstream: Downstream {
  private enum Era: Sendable, Hashable {
    case stateless
    case handshake(version: String, session: String?)
  }
  private struct State {
    var era: Era?
    var lastID: Int64 = 0
    var tools: [JSONValue]?
  }
  private let url: String
  private let headers: [(name: String, value: String)]
  private let transport: any HTTPTransport
  private let callTimeout: Duration
  private let resultLimit: Int
  private let redactor: Redactor
  private let state = Mutex(State())

  /// Asks nothing yet.
  /// - Parameters:
  ///   - headers: the credential and whatever else each request carries.
  ///   - redactor: takes the credential out of whatever the server says.
  public init(
    url: String, headers: [(name: String, value: String)], transport: any HTTPTransport, callTimeout: Duration,
    resultLimit: Int, redactor: Redactor = Redactor([])
  ) {
    self.url = url
    self.headers = headers
    self.transport = transport
    self.callTimeout = callTimeout
    self.resultLimit = resultLimit
    self.redactor = redactor
  }

  /// All pages of its list.
  public func tools() async throws(DownstreamError) -> [JSONValue] {
    if let known = state.withLock({ $0.tools }) { return known }
    let whole = try await ToolPages.all { parameters throws(DownstreamError) in
      try await ask("tools/list", parameters).0
    }
    state.withLock { $0.tools = whole }
    return whole
  }

  /// One call.
  public func call(_ tool: String, _ arguments: JSONValue) async throws(DownstreamError) -> DownstreamResult {
    let (answer, bytes) = try await ask("tools/call", ["name": .string(tool), "arguments": arguments], name: tool)
    guard let members = answer.object else { throw .unreadable("its result is not an object") }
    return DownstreamResult(members: members, bytes: bytes)
  }

  private func ask(
    _ method: String, _ parameters: [String: JSONValue], name: String? = nil
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    let era = try await era()
    do throws(DownstreamError) {
      return try await send(method, parameters, name: name, era: era)
    } catch .refused(code: 404, _) {
      // 2025-11-25, "Session Management": 404 says that the session is over; a new one may be begun.
      guard case .handshake(_, .some) = era else { throw .refused(code: -32603, message: "status 404") }
      state.withLock { if $0.era == era { $0.era = nil } }
      return try await send(method, parameters, name: name, era: try await self.era())
    }
  }

  private func era() async throws(DownstreamError) -> Era {
    if let known = state.withLock({ $0.era }) { return known }
    let found = try await negotiate()
    state.withLock { $0.era = found }
    return found
  }

  /// Asks in the newest words first. Whatever isn't an answer to them comes from a server that doesn't know them.
  private func negotiate() async throws(DownstreamError) -> Era {
    do throws(DownstreamError) {
      let (answer, _) = try await send("server/discover", [:], name: nil, era: .stateless)
      let versions = answer["supportedVersions"]?.array?.compactMap(\.string) ?? []
      if versions.contains(MCPVersion.v2026July.rawValue) { return .stateless }
    } catch .refused {
    } catch .unreadable {
    }
    let version = MCPVersion.newestWithHandshake.rawValue
    let id = nextID()
    let response = try await post(
      [
        "jsonrpc": "2.0", "id": .integer(id), "method": "initialize",
        "params": [
          "protocolVersion": .string(version), "capabilities": [:],
          "clientInfo": ["name": "botburrow", "version": "1.0.0"],
        ],
      ], headers: [])
    let (answer, _) = try result(of: response, id: id)
    guard let spoken = answer["protocolVersion"]?.string, spoken.utf8.count <= 40 else {
      throw .notStarted("its answer to 'initialize' has no 'protocolVersion'")
    }
    let era = Era.handshake(version: spoken, session: response.header("mcp-session-id"))
    _ = try await post(["jsonrpc": "2.0", "method": "notifications/initialized"], headers: eraHeaders(era))
    return era
  }

  private func send(
    _ method: String, _ parameters: [String: JSONValue], name: String?, era: Era
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    var parameters = parameters
    var extra = eraHeaders(era)
    if era == .stateless {
      parameters["_meta"] = [
        MCPMeta.version: .string(MCPVersion.v2026July.rawValue), MCPMeta.clientCapabilities: [:],
        "io.modelcontextprotocol/clientInfo": ["name": "botburrow", "version": "1.0.0"],
      ]
      extra.append((name: "Mcp-Method", value: method))
      if let name { extra.append((name: "Mcp-Name", value: encodedHeader(name))) }
    }
    let id = nextID()
    let response = try await post(
      ["jsonrpc": "2.0", "id": .integer(id), "method": .string(method), "params": .object(parameters)], headers: extra)
    return try result(of: response, id: id)
  }

  private func nextID() -> Int64 {
    state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
  }

  private func eraHeaders(_ era: Era) -> [(name: String, value: String)] {
    switch era {
    case .stateless: [(name: "MCP-Protocol-Version", value: MCPVersion.v2026July.rawValue)]
    case .handshake(let version, let session):
      [(name: "MCP-Protocol-Version", value: version)]
        + (session.map { [(name: "Mcp-Session-Id", value: $0)] } ?? [])
    }
  }

  private func post(
    _ message: JSONValue, headers extra: [(name: String, value: String)]
  ) async throws(DownstreamError) -> HTTPResponse {
    let own: [(name: String, value: String)] = [
      (name: "Content-Type", value: "application/json"), (name: "Accept", value: "application/json, text/event-stream"),
    ]
    do {
      return try await transport.send(
        HTTPRequest(
          method: "POST", url: url, headers: headers + own + extra, body: Array(message.compactText.utf8),
          timeout: callTimeout))
    } catch is CancellationError {
      throw .cancelled
    } catch let error as HTTPClientError where error.code == 28 {
      // CURLE_OPERATION_TIMEDOUT
      throw .timeout(callTimeout)
    } catch {
      throw .unreachable("\(error)")
    }
  }

  /// The result of request `id` in a whole answer.
  private func result(of response: HTTPResponse, id: Int64) throws(DownstreamError) -> (JSONValue, Int) {
    guard response.body.count <= resultLimit else { throw .tooLarge(limit: resultLimit) }
    let body = redactor.redacted(response.body)
    let isStream = response.header("content-type")?.lowercased().hasPrefix("text/event-stream") == true
    var texts = [body]
    if isStream {
      var parser = SSEParser()
      // Some servers end with their last event's data.
      texts = parser.feed(body + [10, 10]).map(\.data)
    }
    for text in texts {
      guard let message = try? JSONValue(parsing: text), message["id"]?.integer == id, message["method"] == nil else {
        continue
      }
      if let result = message["result"] { return (result, text.count) }
      let error = message["error"]
      throw .refused(
        code: error?["code"]?.integer ?? -32603, message: String((error?["message"]?.string ?? "").prefix(2000)))
    }
    guard (200..<300).contains(response.status) else {
      // Its words may be a page; the status says enough.
      throw .refused(code: response.status == 404 ? 404 : -32603, message: "status \(response.status)")
    }
    throw .unreadable("there is no answer to the request in it")
  }

  /// A header value as 2026-07-28 writes what a header can't carry ("Value encoding").
  private func encodedHeader(_ value: String) -> String {
    let isPlain =
      value.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !value.hasPrefix(" ") && !value.hasSuffix(" ")
      && !value.hasPrefix("=?base64?")
    return isPlain ? value : "=?base64?\(base64(Array(value.utf8)))?="
  }
}
