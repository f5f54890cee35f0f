/// A call that the Hub did not carry out.
public struct HubError: Error, Sendable, CustomStringConvertible {
  /// `POST /posts/12/comments`
  public let operation: String
  /// HTTP status; nil when no answer came.
  public let status: Int?
  /// One sentence that names the cause.
  public let reason: String
  /// From `Retry-After` (429, 503).
  public let retryAfter: Duration?
  /// One sentence: operation and reason.
  public var description: String { "Hub: \(operation): \(reason)" }
  /// Worth the same request again: no answer, 408, 425, 429, 5xx.
  public var isTransient: Bool { status.map { $0 == 408 || $0 == 425 || $0 == 429 || $0 >= 500 } ?? true }
  /// A value as given.
  public init(operation: String, status: Int?, reason: String, retryAfter: Duration? = nil) {
    self.operation = operation
    self.status = status
    self.reason = reason
    self.retryAfter = retryAfter
  }
}
