/// How long to leave the Hub alone after it failed.
public struct HubBackoff: Sendable, Hashable {
  /// `coordinator.poll_interval`.
  public var interval: Duration
  /// Makes one.
  public init(interval: Duration) { self.interval = interval }

  /// What the Hub asked for (at most an hour); else a quarter of the interval (at least 1 s), doubled with each failure in a row
  /// up to the interval or 30 s, less up to a quarter by chance (`jitter` from 0 to 1).
  public func delay(failures: Int, retryAfter: Duration?, jitter: Double) -> Duration {
    if let retryAfter { return min(max(retryAfter, .zero), .seconds(3600)) }
    let first = max(interval / 4, .seconds(1))
    let whole = min(first * (1 << min(max(failures - 1, 0), 16)), max(interval, .seconds(30)))
    return whole * (1 - 0.25 * min(max(jitter, 0), 1))
  }
}
