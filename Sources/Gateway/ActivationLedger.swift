import Synchronization

/// What an activation did in the Hub through its own tools. The gateway writes it, the runner reads it after the run, so
/// that it does not post an answer on a thread on which the agent has already spoken.
public final class ActivationLedger: Sendable {
  /// One thing that the agent made.
  public struct Effect: Sendable, Hashable {
    /// What was made.
    public enum Kind: String, Sendable, Hashable { case comment, post }
    /// A comment or a post.
    public var kind: Kind
    /// The post that was commented on; nil for a post of its own.
    public var postID: String?
    /// The Hub's id of what was made; nil where an earlier run of the same activation made it.
    public var id: String?
    /// Makes a record of one effect.
    public init(kind: Kind, postID: String?, id: String?) {
      self.kind = kind
      self.postID = postID
      self.id = id
    }
  }

  private struct State {
    var effects: [Effect] = []
    /// The ordinals in use of one target ("comment 12"), each with the digest of what was sent under it.
    var ordinals: [String: [String?]] = [:]
  }
  private let state = Mutex(State())

  /// A ledger for one run.
  /// - Parameter earlier: what earlier runs of the same activation made.
  public init(earlier: [Effect] = []) { state.withLock { $0.effects = earlier } }

  /// Everything that was made, in order.
  public var effects: [Effect] { state.withLock { $0.effects } }

  func record(_ effect: Effect) {
    state.withLock { if !$0.effects.contains(effect) { $0.effects.append(effect) } }
  }

  /// The ordinal of an effect on `target`: the same words again are the same effect (a client that got no answer asks
  /// again), other words are the next one.
  /// - Returns: `isNew` where these words are seen for the first time.
  func ordinal(of target: String, digest: String) -> (number: Int, isNew: Bool) {
    state.withLock { state in
      var used = state.ordinals[target] ?? []
      if let known = used.firstIndex(of: digest) { return (known, false) }
      let free = used.firstIndex(of: nil)
      if let free { used[free] = digest } else { used.append(digest) }
      state.ordinals[target] = used
      return (free ?? used.count - 1, true)
    }
  }

  /// Gives an ordinal back after the Hub refused the effect for good: nothing was made under it, and a later run, whose
  /// words may be accepted at once, would count differently otherwise.
  func release(_ ordinal: Int, of target: String) {
    state.withLock { state in
      guard var used = state.ordinals[target], used.indices.contains(ordinal) else { return }
      used[ordinal] = nil
      state.ordinals[target] = used
    }
  }
}
