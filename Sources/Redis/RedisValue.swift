/// A reply of the server (RESP2).
public enum RedisValue: Sendable, Hashable {
  case null
  case integer(Int64)
  /// A bulk string: any bytes.
  case bytes([UInt8])
  /// A simple string, as `OK`.
  case status(String)
  case array([RedisValue])
  /// An error inside an array; one at the top is thrown.
  case error(String)

  /// The text of a string or status; nil for anything else.
  public var string: String? {
    switch self {
    case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
    case .status(let text): text
    default: nil
    }
  }
  /// The bytes of a bulk string; nil for anything else.
  public var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
  /// The elements of an array; nil for anything else.
  public var array: [RedisValue]? { if case .array(let values) = self { values } else { nil } }
  /// The number, also where a string holds its decimal digits; nil for anything else.
  public var integer: Int? {
    switch self {
    case .integer(let value): Int(value)
    case .bytes, .status: string.flatMap { Int($0) }
    default: nil
    }
  }
  /// Whether there was nothing to answer.
  public var isNull: Bool { self == .null }
}

/// One argument of a command: any bytes.
public struct RedisArgument: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  /// What goes over the wire.
  public let bytes: [UInt8]
  /// An argument of these bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  /// An argument of the UTF-8 bytes of `text`.
  public init(_ text: String) { self.bytes = Array(text.utf8) }
  /// A number in decimal digits.
  public init(_ number: Int) { self.bytes = Array(String(number).utf8) }
  /// The UTF-8 bytes of a literal.
  public init(stringLiteral value: String) { self.init(value) }
  /// A literal in decimal digits.
  public init(integerLiteral value: Int) { self.init(value) }
}

/// A command that the server did not carry out, or of which it is not known whether it did.
public struct RedisError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What happened, for callers that act on it.
  public enum Kind: Sendable, Hashable {
    /// No connection could be made or logged in; the command was not sent.
    case unreachable
    /// A connection could be made, but it serves nobody until somebody changes something there or in the URL: a wrong password,
    /// a cluster, a version that is too old. The command was not sent.
    case unusable
    /// The connection broke after the command was sent: it may have been carried out.
    case lost
    /// No reply in time: it may have been carried out.
    case timedOut
    /// The server answered with an error; `code` is its first word (`NOSCRIPT`, `LOADING`, `ERR`…).
    case refused(code: String)
    /// The task was cancelled while it waited.
    case cancelled
    /// `close()` was called.
    case closed
    /// The reply is not of the shape that the command promises.
    case unexpected
  }
  /// What happened.
  public let kind: Kind
  /// The command's name, as `EVALSHA`.
  public let operation: String
  /// Where the server is, without its password.
  public let endpoint: String
  /// What the server or the system said.
  public let reason: String
  /// Makes an error.
  public init(kind: Kind, operation: String, endpoint: String, reason: String) {
    self.kind = kind
    self.operation = operation
    self.endpoint = endpoint
    self.reason = reason
  }
  /// Whether the same command may succeed later without anyone changing anything.
  public var isTransient: Bool {
    switch kind {
    case .unreachable, .lost, .timedOut: true
    case .refused(let code): Self.passing.contains(code)
    case .cancelled, .closed, .unexpected, .unusable: false
    }
  }
  private static let passing: Set = [
    "BUSY",  // a script runs
    "LOADING", "MASTERDOWN", "READONLY", "UNBLOCKED", "NOREPLICAS",  // a restart or a failover goes on
    "OOM", "MISCONF",  // memory or disk is full
  ]
  /// Whether it is worth asking on for what must not be lost: the command may succeed later by itself, or when somebody has put
  /// right what is wrong there (a password that was changed, a server that came back with another ACL). The connection is tried for
  /// again all the same.
  public var isWorthPatience: Bool { isTransient || kind == .unusable }
  /// Whether the server's memory is full: it refuses new work, and carries out what ends work.
  public var isFull: Bool { kind == .refused(code: "OOM") }

  /// One sentence for the operator.
  public var description: String {
    switch kind {
    case .unusable: "Redis at \(endpoint) can't be used: \(reason)"
    case .unreachable:
      "Redis at \(endpoint) can't be reached (\(reason)): check that it runs and that redis.url is right"
    case .lost: "the connection to Redis at \(endpoint) broke during \(operation) (\(reason)): it is made again"
    case .timedOut: "Redis at \(endpoint) did not answer \(operation) \(reason): check its load and the network"
    case .refused:
      if let advice {
        "Redis at \(endpoint) refused \(operation): \(reason.last == "." ? String(reason.dropLast()) : reason): \(advice)"
      } else {
        "Redis at \(endpoint) refused \(operation): \(reason)"
      }
    case .cancelled: "waiting for Redis at \(endpoint) (\(operation)) was cancelled"
    case .closed: "the connection to Redis at \(endpoint) was closed before \(operation)"
    case .unexpected: "Redis at \(endpoint) answered \(operation) in a way that is not understood: \(reason)"
    }
  }
}
