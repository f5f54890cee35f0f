import Configuration
import HTTPServer
import JSONText

/// Serves one activation's model gateway on the listener that the supervisor opened for it, until the activation ends.
public actor ModelGatewayListener {
  private var server: HTTPServer?
  private var isStopped = false

  /// Nothing is served yet.
  public init() {}

  /// Bounds on what one agent can make the runner hold.
  public static func options(maxConnections: Int = 32) -> HTTPServer.Options {
    var options = HTTPServer.Options()
    // Anthropic's own limit on a request is 32 MB.
    options.maxBodyBytes = 33 << 20
    options.maxConnections = maxConnections
    options.idleTimeout = .seconds(300)
    return options
  }

  /// Serves `session` at an address; usually a handed-over listening descriptor, which is closed at `stop`.
  /// - Returns: the bound TCP port, where there is one.
  /// - Throws: what the HTTP server reports when it can't listen.
  @discardableResult
  public func serve(
    _ session: ModelSession, _ providers: ModelProviders, at address: ServerAddress,
    options: HTTPServer.Options = ModelGatewayListener.options(), on loops: ServerLoops = .shared
  ) async throws -> Int {
    let door = ModelDoor(session: session, providers: providers)
    let http = try await HTTPServer.start(at: address, options: options, on: loops) { try await door.answer($0) }
    // The activation may have ended while the server started.
    guard !isStopped else {
      await http.stop(grace: .zero)
      return http.port
    }
    server = http
    return http.port
  }

  /// Ends the server and its connections. Whoever called is gone with its sandbox: nothing is waited for. May be called
  /// twice.
  public func stop() async {
    isStopped = true
    let ending = server
    server = nil
    await ending?.stop(grace: .zero)
  }
}

/// Who comes in, and what for.
struct ModelDoor: Sendable {
  let session: ModelSession
  let providers: ModelProviders

  func answer(_ request: ServerRequest) async throws -> ServerResponse {
    let started = ContinuousClock.now
    guard let route = ModelRoute(method: request.method, path: request.path) else {
      return refuse(request, .notFound(String(request.path.prefix(100))), .anthropic)
    }
    if route == .hello { return ServerResponse(status: 200) }
    guard isAuthorized(request) else { return refuse(request, .badToken, route.dialect) }
    if route == .models { return try models() }
    guard session.choice.provider.dialects.contains(route.dialect) else {
      return refuse(
        request, .notFound("\(request.path): provider '\(session.choice.provider.name)' doesn't speak that"),
        route.dialect)
    }
    let model: ModelRequest
    do throws(SkimError) {
      model = try ModelRequest(route.dialect, request.body)
    } catch {
      return refuse(request, .badRequest("\(error)"), route.dialect)
    }
    let call = ModelCall(
      session: session, providers: providers, request: request, model: model, route: route, started: started)
    return route == .countTokens ? try await call.count() : try await call.perform()
  }

  /// The token as either dialect sends a key. Where both come, both must be right.
  private func isAuthorized(_ request: ServerRequest) -> Bool {
    var given: [Substring] = request.header("x-api-key").map { [Substring($0)] } ?? []
    if let value = request.header("authorization") {
      guard let token = bearerToken(value) else { return false }
      given.append(token)
    }
    return !given.isEmpty && given.allSatisfy { session.opens($0) }
  }

  private func refuse(_ request: ServerRequest, _ denial: Denial, _ dialect: ModelDialect) -> ServerResponse {
    let record = ModelCallRecord(
      activationID: session.activationID, agentID: session.agentID, provider: session.choice.provider.name, model: "",
      path: request.path, outcome: .refused, status: denial.status(dialect), requestBytes: request.body.count)
    session.refuse(record)
    providers.audit.write(record)
    return denial.response(dialect)
  }

  /// What this agent may call; the provider is not asked.
  private func models() throws -> ServerResponse {
    let choice = session.choice
    let names = [choice.model] + choice.provider.sideModels.filter { !$0.hasSuffix("*") && $0 != choice.model }
    let list: [JSONValue] = names.map {
      ["id": .string($0), "object": "model", "type": "model", "display_name": .string($0), "owned_by": "botburrow"]
    }
    return ServerResponse(
      status: 200, headers: [("Content-Type", "application/json")],
      body: Array((["object": "list", "data": .array(list), "has_more": false] as JSONValue).compactText.utf8))
  }
}
