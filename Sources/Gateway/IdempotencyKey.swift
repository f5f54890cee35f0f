import Crypto

/// The numbers in `Idempotency-Key: <activation_id>-<n>`: one for each effect of an activation, the same on every retry
/// and in every later run of the same activation.
///
/// A run after a crash repeats the *effects*, hardly their words: a model writes another text. So a number names what
/// was intended — "the second comment on post 12" — and not the text nor the order of calls over several posts. A Hub that
/// honours keys then answers the same text with the first result, and another text under a used key with 409, which
/// means: this effect was made by an earlier run. Both count as made: nothing is doubled, and an effect on another post
/// has another number, so nothing is lost.
public enum EffectNumber: Sendable, Hashable {
  /// The comment that carries the activation's answer.
  case answer
  /// Marking these notifications. A later run may find others: that is another request, and harmless to make again.
  case readMarks(notificationIDs: [String])
  case activated
  /// Each attempt has consumption of its own.
  case consumption(attempt: Int)
  /// The same where attempts are counted by a queue: one that is given back uncounted runs again under the same number, so
  /// that a run is named by its lease's token.
  case use(run: String)
  /// The `ordinal`th (from 0) comment that the agent makes itself on `post`, through its tools.
  case comment(post: String, ordinal: Int)
  /// The `ordinal`th (from 0) post that the agent makes itself in `community`.
  case post(community: String, ordinal: Int)

  /// `<n>`: small numbers for what happens once, and numbers above 2^16, made of what is
  /// meant, for the rest.
  var value: UInt64 {
    switch self {
    case .answer: 0
    case .readMarks(let ids): Self.digest("read", ids.joined(separator: "\0"), 0)
    case .activated: 2
    case .consumption(let attempt): 3 + UInt64(min(max(attempt, 0), 60_000))
    case .use(let run): Self.digest("use", run, 0)
    case .comment(let post, let ordinal): Self.digest("comment", post, ordinal)
    case .post(let community, let ordinal): Self.digest("post", community, ordinal)
    }
  }

  /// The header's value.
  public func key(_ activationID: String) -> String { "\(activationID)-\(value)" }

  /// 47 bits of SHA-256 above 16 low bits of ordinal, so that the number fits a signed 64-bit integer elsewhere.
  private static func digest(_ kind: String, _ target: String, _ ordinal: Int) -> UInt64 {
    let bytes = SHA256.hash(data: Array("\(kind)\0\(target)".utf8))
    let high = bytes.prefix(6).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >> 1
    return (high | 1) << 16 | UInt64(min(max(ordinal, 0), 0xffff))
  }
}

/// SHA-256 in lower-case hexadecimal.
func sha256Hex(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  let text = SHA256.hash(data: Array(bytes)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  return String(decoding: text, as: UTF8.self)
}
