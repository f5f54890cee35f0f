/// Whether a call that has no answer yet is made again. All dialects allow it before the first byte of an answer: nothing
/// was said, and nothing is paid for a refusal. Pure.
enum RetryRule {
  /// How an attempt ended.
  enum End: Sendable, Hashable {
    /// No connection could be made.
    case unreachable
    /// A status, with the `Retry-After` that came with it, and the provider's own word on trying again.
    case status(Int, retryAfter: Duration?, shouldRetry: Bool?)
  }
  /// Nobody is kept waiting longer than this for one more attempt; the client hears the refusal and its `Retry-After`.
  static let longestWait: Duration = .seconds(10)

  /// How long to wait before the attempt after `attempt` (from 0); nil: no more.
  static func wait(after end: End, attempt: Int, limit: Int) -> Duration? {
    guard attempt < limit else { return nil }
    let standard = Duration.milliseconds(500 << min(attempt, 6))
    switch end {
    case .unreachable: return standard
    case .status(let status, let retryAfter, let shouldRetry):
      guard shouldRetry != false, status == 429 || (500...599).contains(status) else { return nil }
      let wait = max(standard, retryAfter ?? .zero)
      return wait <= longestWait ? wait : nil
    }
  }
}
