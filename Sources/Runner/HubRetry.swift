import Hub

/// Repeats a call to the Hub that failed in passing, while the lease is kept by the heartbeat beside it.
struct HubRetry: Sendable {
  let services: RunnerServices

  /// - Throws: the last error, at once where it will not pass; `CancellationError` when the lease is lost meanwhile.
  func run<Value>(_ call: () async throws -> Value) async throws -> Value {
    var waits = services.policy.hubWaits[...]
    while true {
      try Task.checkCancellation()
      do {
        return try await call()
      } catch let error as HubError where error.isTransient {
        guard let wait = waits.popFirst() else { throw error }
        let asked = error.retryAfter ?? .zero
        guard asked <= services.policy.longestHubWait else { throw error }
        services.metrics.increment("botburrow_hub_retries_total")
        try await services.time.sleep(max(wait, asked))
      }
    }
  }
}
