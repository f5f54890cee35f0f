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
  public func call(
    _ tool: String, _ arguments: JSONValue, progress: ProgressHandler?
  ) async throws(DownstreamError) -> DownstreamResult {
    let (answer, bytes) = try await ask(
      "tools/call", ["name": .string(tool), "arguments": arguments], name: tool, progress: progress)
    guard let members = answer.object else { throw .unreadable("its result is not an object") }
    return DownstreamResult(members: members, bytes: bytes)
  }

  private func ask(
    _ method: String, _ parameters: [String: JSONValue], name: String? = nil, progress: ProgressHandler? = nil
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    let era = try await era()
    do throws(DownstreamError) {
      return try await send(method, parameters, name: name, era: era, progress: progress)
    } catch .refused(code: 404, _) {
      // 2025-11-25, "Session Management": 404 says that the session is over; a new one may be begun.
      guard case .handshake(_, .some) = era else { throw .refused(code: -32603, message: "status 404") }
      state.withLock { if $0.era == era { $0.era = nil } }
      return try await send(method, parameters, name: name, era: try await self.era(), progress: progress)
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
      throw .unreadable("its answer to 'initialize' has no 'protocolVersion'")
    }
    let era = Era.handshake(version: spoken, session: response.header("mcp-session-id"))
    _ = try await post(["jsonrpc": "2.0", "method": "notifications/initialized"], headers: eraHeaders(era))
    return era
  }

  private func send(
    _ method: String, _ parameters: [String: JSONValue], name: String?, era: Era, progress: ProgressHandler? = nil
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    let id = nextID()
    var (parameters, meta) = (parameters, [String: JSONValue]())
    var extra = eraHeaders(era)
    if era == .stateless {
      meta = [
        MCPMeta.version: .string(MCPVersion.v2026July.rawValue), MCPMeta.clientCapabilities: [:],
        "io.modelcontextprotocol/clientInfo": ["name": "botburrow", "version": "1.0.0"],
      ]
      extra.append((name: "Mcp-Method", value: method))
      if let name { extra.append((name: "Mcp-Name", value: encodedHeader(name))) }
    }
    if progress != nil { meta["progressToken"] = .integer(id) }
    if !meta.isEmpty { parameters["_meta"] = .object(meta) }
    let message: JSONValue = [
      "jsonrpc": "2.0", "id": .integer(id), "method": .string(method), "params": .object(parameters),
    ]
    if let progress, let streams = transport as? any HTTPStreamTransport {
      return try await listen(to: streams, request(message, headers: extra), id: id, progress)
    }
    return try result(of: try await post(message, headers: extra), id: id)
  }

  /// Reads an answer as it comes: what is told on the way would be old news at its end.
  private func listen(
    to transport: any HTTPStreamTransport, _ request: HTTPRequest, id: Int64, _ progress: ProgressHandler
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    var (parser, rest) = (SSEParser(), [UInt8]())
    let answer: HTTPStreamedResponse
    do {
      answer = try await transport.stream(request)
      defer { answer.body.cancel() }
      let isStream = SSEParser.reads(answer.header("content-type"))
      while let piece = try await answer.body.next() {
        // Of a stream, what belongs to no whole event yet.
        rest += piece
        for event in isStream ? parser.feed(piece) : [] {
          rest = []
          guard event.data.count <= resultLimit else { throw DownstreamError.tooLarge(limit: resultLimit) }
          if let found = try take(event.data, id: id, progress) { return found }
        }
        guard rest.count <= resultLimit else { throw DownstreamError.tooLarge(limit: resultLimit) }
      }
      for event in isStream ? parser.feed(SSEParser.end) : [] {
        guard event.data.count <= resultLimit else { throw DownstreamError.tooLarge(limit: resultLimit) }
        if let found = try take(event.data, id: id, progress) { return found }
      }
    } catch {
      throw failure(error)
    }
    return try result(of: HTTPResponse(status: answer.status, headers: answer.headers, body: rest), id: id)
  }

  /// One message of a stream; the result, where it is that.
  private func take(
    _ data: [UInt8], id: Int64, _ progress: ProgressHandler
  ) throws(DownstreamError) -> (JSONValue, Int)? {
    let text = redactor.redacted(data)
    guard let message = try? JSONValue(parsing: text) else { return nil }
    if message["method"]?.string == "notifications/progress" {
      let parameters = message["params"]
      if parameters?["progressToken"]?.integer == id { CallProgress(parameters).map(progress) }
      return nil
    }
    return try result(of: message, id: id, bytes: text.count)
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

  private func request(_ message: JSONValue, headers extra: [(name: String, value: String)]) -> HTTPRequest {
    let own: [(name: String, value: String)] = [
      (name: "Content-Type", value: "application/json"), (name: "Accept", value: "application/json, text/event-stream"),
    ]
    return HTTPRequest(
      method: "POST", url: url, headers: headers + own + extra, body: Array(message.compactText.utf8),
      timeout: callTimeout)
  }

  private func post(
    _ message: JSONValue, headers extra: [(name: String, value: String)]
  ) async throws(DownstreamError) -> HTTPResponse {
    do { return try await transport.send(request(message, headers: extra)) } catch { throw failure(error) }
  }

  private func failure(_ error: any Error) -> DownstreamError {
    switch error {
    case let error as DownstreamError: error
    case is CancellationError: .cancelled
    // CURLE_OPERATION_TIMEDOUT
    case let error as HTTPClientError where error.code == 28: .timeout(callTimeout)
    default: .unreachable("\(error)")
    }
  }

  /// The result of request `id` in a whole answer.
  private func result(of response: HTTPResponse, id: Int64) throws(DownstreamError) -> (JSONValue, Int) {
    guard response.body.count <= resultLimit else { throw .tooLarge(limit: resultLimit) }
    let body = redactor.redacted(response.body)
    for text in SSEParser.reads(response.header("content-type")) ? SSEParser.data(in: body) : [body] {
      guard let message = try? JSONValue(parsing: text) else { continue }
      if let found = try result(of: message, id: id, bytes: text.count) { return found }
    }
    guard (200..<300).contains(response.status) else {
      // Its words may be a page; the status says enough.
      throw .refused(code: response.status == 404 ? 404 : -32603, message: "status \(response.status)")
    }
    throw .unreadable("there is no answer to the request in it")
  }

  /// The result in one message; nil where the message is another one.
  private func result(of message: JSONValue, id: Int64, bytes: Int) throws(DownstreamError) -> (JSONValue, Int)? {
    guard message["id"]?.integer == id, message["method"] == nil else { return nil }
    if let result = message["result"] { return (result, bytes) }
    throw .refused(by: message["error"])
  }

  /// A header value as 2026-07-28 writes what a header can't carry ("Value encoding").
  private func encodedHeader(_ value: String) -> String {
    let isPlain =
      value.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !value.hasPrefix(" ") && !value.hasSuffix(" ")
      && !value.hasPrefix("=?base64?")
    return isPlain ? value : "=?base64?\(base64(Array(value.utf8)))?="
  }
}
