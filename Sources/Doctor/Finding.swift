import JSON

/// One thing that doctor looked at: how it is, and what to do where it isn't well.
public struct Finding: Sendable, Hashable {
  /// How it stands.
  public enum State: String, Sendable, Hashable {
    case ok
    /// It works, with less than it could.
    case limited
    /// No sandbox can be made.
    case missing
  }
  /// What was looked at.
  public var subject: String
  /// How it stands.
  public var state: State
  /// What was seen.
  public var detail: String
  /// What to do where it isn't ok; empty where there is nothing.
  public var advice: String

  /// The advice of what is ok is never shown.
  public init(_ subject: String, _ state: State, _ detail: String, _ advice: String = "") {
    self.subject = subject
    self.state = state
    self.detail = detail
    self.advice = advice
  }

  /// As it stands in `doctor --json`.
  public var json: JSONValue {
    [
      "subject": .string(subject), "state": .string(state.rawValue), "detail": .string(detail),
      "advice": .string(advice),
    ]
  }
}
