/// Finds a handler by method and path. Patterns are literal segments and `:name` parameters (`/posts/:id/comments`);
/// a literal segment wins over a parameter. A trailing slash makes no difference.
public struct Router: Sendable {
  /// Answers one request; `request.parameters` holds what the pattern's `:name` parts matched.
  public typealias Handler = @Sendable (ServerRequest) async throws -> ServerResponse

  private struct Route: Sendable {
    var method: String
    var pattern: [String]
    var handler: Handler
  }
  private var routes: [Route] = []

  /// A router without routes: everything is 404.
  public init() {}

  /// Adds a route. `HEAD` is served by the `GET` route.
  public mutating func on(_ method: String, _ pattern: String, _ handler: @escaping Handler) {
    routes.append(Route(method: method, pattern: pattern.split(separator: "/").map(String.init), handler: handler))
  }

  /// The matching handler's answer; 404 for an unknown path, 405 with `Allow` for an unknown method on a known one.
  public func respond(to request: ServerRequest) async throws -> ServerResponse {
    let matching =
      routes.compactMap { route in Self.match(route.pattern, request.segments).map { (route: route, found: $0) } }
    guard let closest = matching.max(by: { $0.found.literals < $1.found.literals }) else {
      return .failure(404, code: "not_found", message: "there is nothing at \(request.path)")
    }
    // Only routes as close as the closest count, or `/posts/:id` would lend its methods to `/posts/new`.
    let candidates = matching.filter { $0.found.literals == closest.found.literals }
    let method = request.method == "HEAD" ? "GET" : request.method
    guard
      let chosen = candidates.first(where: { $0.route.method == request.method })
        ?? candidates.first(where: { $0.route.method == method })
    else {
      var allowed = Set(candidates.map(\.route.method))
      if allowed.contains("GET") { allowed.insert("HEAD") }
      let list = allowed.sorted().joined(separator: ", ")
      return .failure(
        405, code: "method_not_allowed", message: "\(request.path) takes \(list), not \(request.method)",
        headers: [(name: "Allow", value: list)])
    }
    var request = request
    request.parameters = chosen.found.parameters
    return try await chosen.route.handler(request)
  }

  private static func match(
    _ pattern: [String], _ segments: [String]
  ) -> (parameters: [String: String], literals: Int)? {
    guard pattern.count == segments.count else { return nil }
    var parameters: [String: String] = [:]
    var literals = 0
    for (part, segment) in zip(pattern, segments) {
      if part.hasPrefix(":") {
        parameters[String(part.dropFirst())] = segment
      } else if part == segment {
        literals += 1
      } else {
        return nil
      }
    }
    return (parameters, literals)
  }
}
