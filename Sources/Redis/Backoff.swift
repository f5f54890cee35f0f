/// How long to wait before connecting again: doubles from `first` to `last`, and loses up to half by chance, so that
/// many clients of one restarted server don't come back at once.
public struct Backoff: Sendable, Hashable {
  /// After the first failure.
  public var first: Duration
  /// Never longer than this.
  public var last: Duration
  /// The waits of this program's connections unless told otherwise: 50 ms to 1 s.
  public init(first: Duration = .milliseconds(50), last: Duration = .seconds(1)) {
    self.first = first
    self.last = last
  }
  /// Failures in a row with one that came now. One of a connection that was there for longer than the longest wait begins anew; one
  /// that was let in and thrown out at once is as one that wasn't let in.
  /// - Parameter lasted: how long the connection was there; nil where none was made.
  func failures(after failures: Int, lasted: Duration?) -> Int {
    if let lasted, lasted > last { 1 } else { failures + 1 }
  }
  /// The wait after `failures` failures in a row (from 1). `jitter` is from 0 to 1; 0 gives the longest wait.
  public func delay(failures: Int, jitter: Double) -> Duration {
    guard failures > 0 else { return .zero }
    let doubled = first * (1 << min(failures - 1, 20))
    let whole = min(doubled, last)
    return whole * (1 - 0.5 * min(max(jitter, 0), 1))
  }
}
