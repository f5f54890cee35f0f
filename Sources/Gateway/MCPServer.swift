import HTTPServer
import Hub
import JSON

/// One HTTP request as the server sees it.
public struct MCPRequest: Sendable {
  /// `POST`, `GET`, …
  public var method: String
  /// In the order of the wire.
  public var headers: [(name: String, value: String)]
  /// The whole body.
  public var body: [UInt8]
  /// Makes a request.
  public init(method: String = "POST", headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.method = method
    self.headers = headers
    self.body = body
  }
  /// Every value of that header, in order, whatever its case.
  func values(_ name: String) -> [String] {
    headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }
}

/// The answer to one request.
public struct MCPResponse: Sendable {
  /// The HTTP status.
  public var status: Int
  /// Beside Content-Type.
  public var headers: [(name: String, value: String)]
  /// Nil for an answer without a body (202), and for a stream.
  public var body: JSONValue?
  /// Messages one after the other, the answer last; for `text/event-stream`.
  public var stream: MessageStream?
  /// Hands each message to `send`, which throws when the client is gone.
  public typealias MessageStream = @Sendable (_ send: (JSONValue) async throws -> Void) async throws -> Void
  init(_ status: Int, headers: [(name: String, value: String)] = [], _ body: JSONValue? = nil) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

/// One MCP server for one activation: requests in, answers out, no socket.
///
/// Two eras share one URL: the stateless revision 2026-07-28, and `initialize` with 2025-11-25, 2025-06-18 and 2025-03-26
/// (https://modelcontextprotocol.io/specification). No session is kept in either; a server may leave out `Mcp-Session-Id`.
public struct MCPServer: Sendable {
  /// The name of the built-in server.
  public static let hubName = "hub"

  /// The name in the path (`/mcp/<name>`) and in audit records.
  public var name: String { source.name }

  let source: any ToolSource
  let session: GatewaySession
  let audit: Audit
  let now: @Sendable () -> ContinuousClock.Instant
  /// Hosts that an `Origin` may name; a browser page from elsewhere has no business here.
  let originHosts: [String]

  /// Makes the built-in server of one activation.
  /// - Parameters:
  ///   - ledger: what the agent makes is written there.
  ///   - keeper: keeps it beyond this run; nil where there is no later one.
  ///   - originHosts: beside loopback, hosts that an `Origin` header may name: the gateway's own address.
  public init(
    session: GatewaySession, hub: any HubAPI, ledger: ActivationLedger, keeper: (any EffectKeeper)? = nil, audit: Audit,
    limits: any EffectLimits = UnlimitedEffects(), originHosts: [String] = [],
    now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
  ) {
    self.init(
      source: HubSource(
        tools: HubTools(session: session, hub: hub, ledger: ledger, keeper: keeper, limits: limits)), session: session,
      audit: audit, originHosts: originHosts, now: now)
  }

  /// Makes the front of another server for one activation.
  /// - Parameters:
  ///   - tools: its tools, as far as this agent's grants reach.
  ///   - originHosts: beside loopback, hosts that an `Origin` header may name: the gateway's own address.
  public init(
    session: GatewaySession, tools: ProxiedTools, audit: Audit, originHosts: [String] = [],
    now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
  ) {
    self.init(source: tools, session: session, audit: audit, originHosts: originHosts, now: now)
  }

  init(
    source: any ToolSource, session: GatewaySession, audit: Audit, originHosts: [String],
    now: @escaping @Sendable () -> ContinuousClock.Instant
  ) {
    self.source = source
    self.session = session
    self.audit = audit
    self.originHosts = originHosts + ["127.0.0.1", "localhost", "[::1]"]
    self.now = now
  }

  /// Answers one request.
  public func handle(_ request: MCPRequest) async -> MCPResponse {
    if let origin = request.values("Origin").first(where: { !isOwn(origin: $0) }) {
      return refuse(403, "the origin \(origin.prefix(100)) may not call this server")
    }
    guard isAuthorized(request) else {
      return refuse(
        401, "this server wants the activation's token as 'Authorization: Bearer …'",
        headers: [("WWW-Authenticate", "Bearer")])
    }
    guard request.method == "POST" else {
      return refuse(405, "this server takes POST alone: it has no stream and no session", headers: [("Allow", "POST")])
    }
    let value: JSONValue
    do {
      value = try JSONValue(parsing: request.body)
    } catch {
      return MCPResponse(400, RPCError.parse("Parse error: the body is not JSON").response(to: .null))
    }
    let era = MCPEra(header: request.values)
    if let batch = value.array { return await answer(batch: batch, era) }
    let message = RPCMessage(value)
    if let response = streamed(message, era) { return response }
    return await answer(message, era)
  }

  private func isAuthorized(_ request: MCPRequest) -> Bool {
    guard let given = request.values("Authorization").first.flatMap(bearerToken), !session.token.isEmpty else {
      return false
    }
    return equalInConstantTime(given, session.token)
  }

  private func isOwn(origin: String) -> Bool {
    guard let scheme = ["http://", "https://"].first(where: origin.hasPrefix) else { return false }
    let authority = origin.dropFirst(scheme.count)
    return originHosts.contains { authority == $0 || authority.hasPrefix($0 + ":") }
  }

  private func refuse(_ status: Int, _ reason: String, headers: [(name: String, value: String)] = []) -> MCPResponse {
    MCPResponse(status, headers: headers, ["error": .string(reason)])
  }

  /// Several messages in one body: 2025-03-26 has them, later revisions don't.
  private func answer(batch: [JSONValue], _ era: MCPEra) async -> MCPResponse {
    do throws(RPCError) {
      guard try era.versionByHeader().hasBatches else {
        throw .invalidRequest("the body is an array; this revision takes one message a request")
      }
      guard !batch.isEmpty, batch.count <= 32 else { throw .invalidRequest("a batch has between 1 and 32 messages") }
    } catch {
      return MCPResponse(400, error.response(to: .null))
    }
    var answers: [JSONValue] = []
    for message in batch {
      if let body = await answer(RPCMessage(message), era).body { answers.append(body) }
    }
    return answers.isEmpty ? MCPResponse(202) : MCPResponse(200, .array(answers))
  }

  /// A call whose client wants to hear how far it is, and can: its progress comes before its answer, on the same stream. Nil
  /// for any other message. Errors of calls have status 200 in both eras, so that the head can go out before the call's end.
  private func streamed(_ message: RPCMessage, _ era: MCPEra) -> MCPResponse? {
    guard case .request(let id, "tools/call", let parameters) = message, source.tellsProgress,
      let token = CallProgress.token(in: parameters),
      era.header("Accept").contains(where: { $0.lowercased().contains("text/event-stream") }),
      let version = try? era.version(of: "tools/call", parameters: parameters)
    else { return nil }
    var response = MCPResponse(200)
    response.stream = { send in
      // A server that tells more than its client reads: what is newer says what was older.
      let (told, teller) = AsyncStream.makeStream(of: CallProgress.self, bufferingPolicy: .bufferingNewest(16))
      // Where the client is gone, the call ends with this scope.
      async let answer = body(id, "tools/call", parameters, version, telling: teller)
      for await progress in told { try await send(progress.notification(to: token)) }
      try await send(await answer)
    }
    return response
  }

  private func body(
    _ id: JSONValue, _ method: String, _ parameters: JSONValue?, _ version: MCPVersion,
    telling teller: AsyncStream<CallProgress>.Continuation
  ) async -> JSONValue {
    defer { teller.finish() }
    return await body(id, method, parameters, version, progress: { teller.yield($0) }).value
  }

  private func answer(_ message: RPCMessage, _ era: MCPEra) async -> MCPResponse {
    switch message {
    case .malformed(let id, let reason):
      return MCPResponse(400, RPCError.invalidRequest("Invalid request: \(reason)").response(to: id))
    case .response:
      return MCPResponse(202)
    case .notification:
      // Nothing that a client announces changes what this server does; even so a version it can't speak is an error.
      do throws(RPCError) {
        _ = try era.versionByHeader()
        return MCPResponse(202)
      } catch {
        return MCPResponse(400, error.response(to: .null))
      }
    case .request(let id, let method, let parameters):
      let version: MCPVersion
      do throws(RPCError) {
        version = try era.version(of: method, parameters: parameters)
      } catch {
        return MCPResponse(400, error.response(to: id))
      }
      let (value, code) = await body(id, method, parameters, version)
      // Only the stateless era gives an unknown method a status of its own; clients of the other read the body.
      return MCPResponse(version.isStateless && code == -32601 ? 404 : 200, value)
    }
  }

  /// The whole answer to a request, with the code of its error where it is one.
  private func body(
    _ id: JSONValue, _ method: String, _ parameters: JSONValue?, _ version: MCPVersion,
    progress: ProgressHandler? = nil
  ) async -> (value: JSONValue, code: Int64?) {
    do throws(RPCError) {
      let result = try await result(of: method, parameters, version, progress: progress)
      return (["jsonrpc": "2.0", "id": id, "result": .object(result)], nil)
    } catch {
      return (error.response(to: id), error.code)
    }
  }

  private func result(
    of method: String, _ parameters: JSONValue?, _ version: MCPVersion, progress: ProgressHandler?
  ) async throws(RPCError) -> [String: JSONValue] {
    switch (method, version.isStateless) {
    case ("server/discover", true):
      return stateless([
        "supportedVersions": .array(MCPVersion.all.map { .string($0.rawValue) }), "capabilities": ["tools": [:]],
        "instructions": .string(source.instructions), "_meta": [MCPMeta.serverInfo: serverInfo],
        "ttlMs": .integer(cacheTime),
        "cacheScope": "private",
      ])
    case ("initialize", false):
      guard let wanted = parameters?["protocolVersion"]?.string else {
        throw .invalidParameters("initialize: 'protocolVersion' is missing")
      }
      let known = MCPVersion(rawValue: wanted).flatMap { $0.isStateless ? nil : $0 }
      return [
        "protocolVersion": .string((known ?? .newestWithHandshake).rawValue),
        "capabilities": ["tools": ["listChanged": false]], "serverInfo": serverInfo,
        "instructions": .string(source.instructions),
      ]
    case ("ping", false):
      return [:]
    case ("tools/list", let isStateless):
      let list: [String: JSONValue] = ["tools": .array(try await source.listing(for: version))]
      guard isStateless else { return list }
      return stateless(list.merging(["ttlMs": .integer(cacheTime), "cacheScope": "private"]) { old, _ in old })
    case ("tools/call", let isStateless):
      let result = try await call(parameters, version, progress: progress)
      return isStateless ? stateless(result) : result
    default:
      throw .unknownMethod(method)
    }
  }

  /// Carries out one call and writes its audit record, whatever came of it.
  private func call(
    _ parameters: JSONValue?, _ version: MCPVersion, progress: ProgressHandler?
  ) async throws(RPCError) -> [String: JSONValue] {
    guard let name = parameters?["name"]?.string else { throw .invalidParameters("tools/call: 'name' is missing") }
    let started = now()
    let arguments = parameters?["arguments"]
    func finish(_ status: AuditRecord.Status, bytes: Int) {
      let elapsed = started.duration(to: now())
      audit.write(
        AuditRecord(
          activationID: session.activationID, agentID: session.agentID, server: source.name,
          tool: String(name.prefix(100)), argumentsHash: sha256Hex((arguments ?? .object([:])).compactText.utf8),
          status: status,
          milliseconds: elapsed / .milliseconds(1), bytes: bytes))
    }
    func words(_ sentence: String) -> [String: JSONValue] {
      ["content": [["type": "text", "text": .string(sentence)]], "isError": true]
    }
    switch await source.call(name, arguments, version, progress: progress) {
    case .unknown:
      finish(.unknown, bytes: 0)
      throw .invalidParameters("Unknown tool: \(name.prefix(100))")
    case .result(let result, let bytes):
      finish(result["isError"]?.bool == true ? .refused : .ok, bytes: bytes)
      return result
    case .refused(let sentence):
      finish(.refused, bytes: sentence.utf8.count)
      return words(sentence)
    case .failed(let sentence):
      finish(.failed, bytes: sentence.utf8.count)
      return words(sentence)
    case .error(let error):
      finish(.failed, bytes: error.message.utf8.count)
      throw error
    }
  }

  private func stateless(_ result: [String: JSONValue]) -> [String: JSONValue] {
    result.merging(["resultType": "complete"]) { old, _ in old }
  }

  /// An activation's grants don't change while it runs.
  private var cacheTime: Int64 { 300_000 }
  private var serverInfo: JSONValue {
    ["name": .string("botburrow-\(source.name)"), "title": .string(source.title), "version": "1.0.0"]
  }
}
