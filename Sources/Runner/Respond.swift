import Gateway
import Hub

/// An answer as it will be posted. It is decided, with its key, before anything is sent, so that it can be kept and sent
/// again by somebody else.
public struct PreparedAnswer: Sendable, Hashable {
  /// The post that it answers.
  public var postID: String
  /// In whose name.
  public var agentID: String
  /// The comment's text.
  public var text: String
  /// The same on every try.
  public var idempotencyKey: String

  /// Makes an answer.
  public init(postID: String, agentID: String, text: String, idempotencyKey: String) {
    self.postID = postID
    self.agentID = agentID
    self.text = text
    self.idempotencyKey = idempotencyKey
  }
}

/// What is done with what the agent said.
public enum Response: Sendable, Hashable {
  case post(PreparedAnswer)
  /// Nothing is posted, and that is all right.
  case nothing(Reason)

  /// Why nothing is posted.
  public enum Reason: String, Sendable, Hashable {
    /// The agent had nothing to say.
    case silent
    /// The agent commented on the thread itself, through its tools; or made an exploration's one contribution with them.
    case commentedItself = "commented itself"
    /// The task has no thread, and the agent named none.
    case noThread = "no thread"
    /// The agent has had its say in this thread (`behavior.limits.max_responses_per_thread`). Without this, two agents that
    /// mention each other would never end.
    case threadLimit = "thread limit"
    /// Whoever asked for the activation wants to see the answer only.
    case notWanted = "not wanted"
  }

  /// Decides it. Pure.
  /// - Parameters:
  ///   - text: what the agent said; nil or blank for nothing.
  ///   - named: the post that the agent itself named, for explorations.
  static func decide(
    text: String?, named: String?, task: ActivationTask, thread: Post?, effects: [ActivationLedger.Effect],
    limit: Int
  ) -> Response {
    guard let text = text.map(trimmed), !text.isEmpty else { return .nothing(.silent) }
    // One contribution, not one of each kind.
    if task.type == .exploration, effects.count >= Exploration.contributionLimit { return .nothing(.commentedItself) }
    guard let postID = thread?.id ?? task.postID ?? named, isPostID(postID) else { return .nothing(.noThread) }
    if effects.contains(where: { $0.kind == .comment && $0.postID == postID }) { return .nothing(.commentedItself) }
    return .post(
      PreparedAnswer(
        postID: postID, agentID: task.agentID, text: shortened(text, to: limit),
        idempotencyKey: EffectNumber.answer.key(task.activationID)))
  }

  private static func trimmed(_ text: String) -> String {
    let start = text.drop { $0.isWhitespace }
    guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...end])
  }

  private static func shortened(_ text: String, to limit: Int) -> String {
    guard text.unicodeScalars.count > limit else { return text }
    let note = "\n\n(shortened)"
    return String(text.unicodeScalars.prefix(limit - note.unicodeScalars.count)) + note
  }

  /// An agent may name a post, not another endpoint.
  private static func isPostID(_ id: String) -> Bool {
    !id.isEmpty && id.utf8.count <= 200 && id != "." && id != ".."
      && !id.unicodeScalars.contains { "/?#%\\".unicodeScalars.contains($0) || $0.value <= 32 || $0.value == 127 }
  }
}

/// What the Hub holds after the answer.
public enum Posted: Sendable, Hashable {
  /// The comment, by the Hub's id; nil where the Hub took it and its answer could not be read.
  case comment(id: String?)
  /// An earlier attempt of this activation has answered, with other words; those stand.
  case earlier
  /// It is kept in the outbox, and posted when the Hub takes it.
  case waiting
  case nothing(Response.Reason)
}
