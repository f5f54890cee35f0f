import HTTPServer

/// What every daemon answers to the operator's tools: `GET /metrics`, `/healthz` (the process is alive) and `/readyz`
/// (it can do its work, or the sentence why not).
public struct ObserveEndpoints: Sendable {
  private let metrics: Metrics
  private let collect: @Sendable (Metrics) async -> Void
  private let notReady: @Sendable () async -> String?
  private let cache: CacheEndpoint?

  /// `notReady` returns nil when the daemon can work, else one sentence. `collect` runs before each exposition, for
  /// gauges that are cheaper to read than to keep (queue depths). `cache` is served beside the three.
  public init(
    metrics: Metrics, collect: @escaping @Sendable (Metrics) async -> Void = { _ in },
    notReady: @escaping @Sendable () async -> String? = { nil }, cache: CacheEndpoint? = nil
  ) {
    self.cache = cache
    self.metrics = metrics
    self.collect = collect
    self.notReady = notReady
  }

  /// The answer to one of these paths; nil for any other path, which is then somebody else's.
  public func answer(_ request: ServerRequest) async -> ServerResponse? {
    if let answer = await cache?.answer(request) { return answer }
    guard ["/metrics", "/healthz", "/readyz"].contains(request.path) else { return nil }
    guard request.method == "GET" || request.method == "HEAD" else {
      return .failure(
        405, code: "method_not_allowed", message: "\(request.path) takes GET, HEAD, not \(request.method)",
        headers: [(name: "Allow", value: "GET, HEAD")])
    }
    switch request.path {
    case "/metrics":
      await collect(metrics)
      return .text(200, metrics.exposition(), contentType: "text/plain; version=0.0.4; charset=utf-8")
    case "/healthz": return .text("alive\n")
    default:
      if let reason = await notReady() { return .text(503, reason + "\n", contentType: "text/plain; charset=utf-8") }
      return .text("ready\n")
    }
  }

  /// The same as a whole server's handler: other paths are 404.
  public var handler: HTTPServer.Handler {
    { request in
      await answer(request)
        ?? .failure(
          404, code: "not_found",
          message: "there is nothing at \(request.path); see /metrics, /healthz, /readyz"
            + (cache == nil ? "" : ", POST \(CacheEndpoint.path)"))
    }
  }
}
