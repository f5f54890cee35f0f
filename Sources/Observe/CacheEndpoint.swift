import HTTPServer
import JSONText

/// `POST /api/v1/cache/invalidate[?agent=NAME]`: has every daemon look at definitions again that it keeps.
public struct CacheEndpoint: Sendable {
  /// Where it is.
  public static let path = "/api/v1/cache/invalidate"
  private let token: String?
  private let isAgent: @Sendable (String) -> Bool
  private let invalidate: @Sendable (_ agentID: String?) async throws -> Int
  private let metrics: Metrics

  /// - Parameters:
  ///   - token: what callers must show; secret. Nil: nobody may call.
  ///   - isAgent: whether a name can be an agent's.
  ///   - invalidate: tells the daemons and gives their number; nil is all agents. What it throws is shown to the caller.
  public init(
    token: String?, metrics: Metrics, isAgent: @escaping @Sendable (String) -> Bool,
    invalidate: @escaping @Sendable (_ agentID: String?) async throws -> Int
  ) {
    self.token = token
    self.metrics = metrics
    self.isAgent = isAgent
    self.invalidate = invalidate
  }

  /// The answer to a request for this path; nil for any other, which is then somebody else's.
  public func answer(_ request: ServerRequest) async -> ServerResponse? {
    guard request.path == Self.path else { return nil }
    let response = await respond(request)
    metrics.increment("botburrow_cache_requests_total", [("status", "\(response.status)")])
    return response
  }

  private func respond(_ request: ServerRequest) async -> ServerResponse {
    guard request.method == "POST" else {
      return .failure(
        405, code: "method_not_allowed", message: "\(Self.path) takes POST, not \(request.method)",
        headers: [(name: "Allow", value: "POST")])
    }
    guard let token else {
      return .failure(
        403, code: "not_configured",
        message:
          "no token is configured, so nobody may invalidate here; give cache.token_file in the configuration, or use "
          + "'botburrow agents invalidate'")
    }
    guard let shown = request.header("Authorization").flatMap(bearerToken), equalInConstantTime(shown, token) else {
      return .failure(
        401, code: "unauthorized", message: "show the token of the configuration's cache part: Authorization: Bearer …",
        headers: [(name: "WWW-Authenticate", value: "Bearer realm=\"botburrow\"")])
    }
    if let wrong = request.query.first(where: { $0.name != "agent" })?.name {
      return .failure(400, code: "bad_request", message: "unknown parameter '\(wrong)'; there is 'agent' alone")
    }
    guard request.query.count <= 1 else {
      return .failure(400, code: "bad_request", message: "'agent' is there more than once; leave it out for all agents")
    }
    let agent = request.query.first?.value
    if let agent, !isAgent(agent) {
      return .failure(
        400, code: "bad_request",
        message:
          "'agent' must be an agent's id: 3 to 50 lower-case letters, digits and hyphens; leave it out for all agents")
    }
    do {
      let daemons = try await invalidate(agent)
      return try .json(["invalidated": .string(agent ?? "all"), "daemons": .integer(Int64(daemons))])
    } catch {
      return .failure(503, code: "unavailable", message: "\(error)")
    }
  }
}
