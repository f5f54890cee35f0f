import JSON

/// How far a call is, as its server tells on the way (`notifications/progress`; the same in all revisions that we speak).
public struct CallProgress: Sendable, Hashable {
  /// What of it is passed on: `progress`, `total`, `message`.
  let members: [String: JSONValue]
  /// A message is for people to glance at.
  private static let messageLimit = 1000

  /// Reads a notification's parameters; nil where they tell no progress.
  init?(_ parameters: JSONValue?) {
    guard let progress = parameters?["progress"], progress.double != nil else { return nil }
    var members = ["progress": progress]
    if let total = parameters?["total"], total.double != nil { members["total"] = total }
    if let message = parameters?["message"]?.string {
      members["message"] = .string(String(message.prefix(Self.messageLimit)))
    }
    self.members = members
  }

  /// The notification to whoever gave this token.
  func notification(to token: JSONValue) -> JSONValue {
    [
      "jsonrpc": "2.0", "method": "notifications/progress",
      "params": .object(members.merging(["progressToken": token]) { $1 }),
    ]
  }

  /// The token that a request's `_meta` has, where its sender wants to hear; a string or a whole number.
  static func token(in parameters: JSONValue?) -> JSONValue? {
    parameters?["_meta"]?["progressToken"].flatMap { $0.string != nil || $0.integer != nil ? $0 : nil }
  }
}

/// Hears how far a call is. Called on any thread, and must not wait.
public typealias ProgressHandler = @Sendable (CallProgress) -> Void
