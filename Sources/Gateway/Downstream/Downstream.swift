import JSON

/// A server behind the gateway, whichever way it is reached.
public protocol Downstream: Sendable {
  /// All its tools as it lists them, from memory where nothing has changed since.
  func tools() async throws(DownstreamError) -> [JSONValue]
  /// One call. The result has the members of a `CallToolResult`.
  /// - Parameter progress: hears how far the call is; nil: nobody wants to know, and the server isn't asked to tell.
  func call(
    _ tool: String, _ arguments: JSONValue, progress: ProgressHandler?
  ) async throws(DownstreamError) -> DownstreamResult
}

extension Downstream {
  /// One call whose progress nobody wants to know.
  public func call(_ tool: String, _ arguments: JSONValue) async throws(DownstreamError) -> DownstreamResult {
    try await call(tool, arguments, progress: nil)
  }
}

/// A list that comes in pages, such as `tools/list`.
enum ToolPages {
  /// A server that goes on for ever is cut off.
  static let mostPages = 50
  static let mostTools = 1000

  /// All tools.
  /// - Parameter page: asks for one page, with its parameters.
  static func all(
    _ page: ([String: JSONValue]) async throws(DownstreamError) -> JSONValue
  ) async throws(DownstreamError) -> [JSONValue] {
    var tools: [JSONValue] = []
    var parameters: [String: JSONValue] = [:]
    for _ in 0..<mostPages {
      let answer = try await page(parameters)
      guard let found = answer["tools"]?.array else { throw .unreadable("'tools' is missing in its list") }
      tools += found
      guard let cursor = answer["nextCursor"], cursor.string != nil, tools.count < mostTools else { break }
      parameters = ["cursor": cursor]
    }
    return Array(tools.prefix(mostTools))
  }
}

/// What a server answered to a call.
public struct DownstreamResult: Sendable, Hashable {
  /// The members of its result.
  public var members: [String: JSONValue]
  /// Bytes of the whole message.
  public var bytes: Int
  /// A result of its parts.
  public init(members: [String: JSONValue], bytes: Int) {
    self.members = members
    self.bytes = bytes
  }
}

/// A server that gave no result.
public enum DownstreamError: Error, Sendable, Hashable, CustomStringConvertible {
  /// It could not be started; the reason is the operator's to read, not the agent's.
  case notStarted(String)
  /// It can't be reached now; likewise.
  case unreachable(String)
  /// It ended, or hung up.
  case ended
  /// It took longer than it may.
  case timeout(Duration)
  /// Its answer has more bytes than it may have.
  case tooLarge(limit: Int)
  /// It answered with something that is no answer.
  case unreadable(String)
  /// It answered with an error of JSON-RPC.
  case refused(code: Int64, message: String)
  /// Whoever asked is gone.
  case cancelled

  /// One clause, for the operator.
  public var description: String {
    switch self {
    case .notStarted(let reason): "it could not be started: \(reason)"
    case .unreachable(let reason): "it can't be reached: \(reason)"
    case .ended: "it has ended"
    case .timeout(let limit): "it did not answer within \(limit.shown)"
    case .tooLarge(let limit): "its answer has more than \(limit) bytes"
    case .unreadable(let reason): "its answer can't be read: \(reason)"
    case .refused(let code, let message): "it refused: \(message) (code \(code))"
    case .cancelled: "the caller went away"
    }
  }

  /// One clause, for the agent: nothing of hosts, paths and programs.
  var agentWords: String {
    switch self {
    case .notStarted: "could not be started; its tools are away for this activation"
    case .unreachable: "can't be reached now"
    case .ended: "has ended; its tools are away for this activation"
    case .timeout(let limit): "did not answer within \(limit.shown)"
    case .tooLarge(let limit): "answered with more than \(limit) bytes; ask for less"
    case .unreadable: "gave an answer that can't be read"
    case .refused(_, let message): "refused: \(message)"
    case .cancelled: "was not asked to the end"
    }
  }
}

extension Duration {
  /// Seconds, with a fraction where there is one.
  var shown: String {
    let seconds = self / .seconds(1)
    return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
  }
}

extension DownstreamError {
  /// What a server says in its JSON-RPC error; -32603 is JSON-RPC's "internal error".
  static func refused(by error: JSONValue?) -> DownstreamError {
    .refused(code: error?["code"]?.integer ?? -32603, message: String((error?["message"]?.string ?? "").prefix(2000)))
  }
}
