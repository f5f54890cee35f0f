import Hub
import JSON

/// What is kept of one thing that an agent makes in the Hub by itself, for later runs of its activation on whichever host.
public struct KeptEffect: Sendable, Hashable {
  /// What it is, and where.
  public var effect: ActivationLedger.Effect
  /// SHA-256 of the words, spaces apart: by it they are found in a thread.
  public var digest: String
  /// As the Hub said it.
  public var createdAt: String?

  /// Makes one.
  public init(effect: ActivationLedger.Effect, digest: String, createdAt: String? = nil) {
    self.effect = effect
    self.digest = digest
    self.createdAt = createdAt
  }

  /// Makes one that is about to be sent.
  public init(effect: ActivationLedger.Effect, words: String) {
    self.init(effect: effect, digest: Self.digest(words))
  }

  /// What `digest` is of.
  static func digest(_ words: String) -> String { sha256Hex(OwnWords.plain(words).utf8) }

  /// One JSON object.
  public var encoded: [UInt8] {
    var members: [String: JSONValue] = ["kind": .string(effect.kind.rawValue), "digest": .string(digest)]
    members["post_id"] = effect.postID.map { .string($0) }
    members["id"] = effect.id.map { .string($0) }
    members["created_at"] = createdAt.map { .string($0) }
    return JSONValue.object(members).compactBytes
  }

  /// Nil where these bytes are no such object.
  public init?(parsing bytes: [UInt8]) {
    guard let value = try? JSONValue(parsing: bytes),
      let kind = value["kind"]?.string.flatMap(ActivationLedger.Effect.Kind.init),
      let digest = value["digest"]?.string
    else { return nil }
    self.init(
      effect: ActivationLedger.Effect(kind: kind, postID: value["post_id"]?.string, id: value["id"]?.string),
      digest: digest, createdAt: value["created_at"]?.string)
  }

  /// The comment of a thread that is this effect, where it is one: an earlier run may have made it without hearing of it.
  public func found(in thread: Post, by agentID: String) -> Post? {
    guard effect.kind == .comment, effect.postID == thread.id else { return nil }
    return thread.comments?.first { $0.author?.id == agentID && KeptEffect.digest($0.content) == digest }
  }
}

/// Where the effects of an activation are kept, beyond one run of it. Keyed by `EffectNumber`, so that neither the order of
/// calls nor the runner matters.
public protocol EffectKeeper: Sendable {
  /// Asked right before an effect is made; where nobody made it, it is kept as being sent from now on.
  func begin(_ key: String, _ effect: KeptEffect) async -> EffectBeginning
  /// Other words are sent under a key of which it was not known whether the Hub has it.
  /// - Returns: why nothing may be made, for the agent to read; nil: it may.
  func resend(_ key: String, _ effect: KeptEffect) async -> String?
  /// The Hub has it.
  func made(_ key: String, _ effect: KeptEffect) async
  /// Nothing was made under that key.
  func free(_ key: String) async
}

/// What is known of an effect that is about to be made.
public enum EffectBeginning: Sendable, Hashable {
  /// Nobody made it.
  case new
  /// An earlier call made it.
  case made(KeptEffect)
  /// An earlier call sent it, and nobody knows whether the Hub took it.
  case inDoubt(KeptEffect)
  /// It must not be made: a sentence for the agent.
  case refused(String)
}
