import JSONText

/// An answer: whole, or written as it is made.
public struct ServerResponse: Sendable {
  /// HTTP status, 200–599.
  public var status: Int
  /// Header fields in order. The server adds `Content-Length`, `Date` and `Connection` itself.
  public var headers: [(name: String, value: String)]
  /// The whole body; not sent where `stream` is set.
  public var body: [UInt8]
  /// Writes the body piece by piece after the head went out (server-sent events, proxied answers). The answer ends when
  /// it returns; when it throws, the connection is cut so that the client can't take the answer for whole.
  public var stream: (@Sendable (ServerResponseWriter) async throws -> Void)?

  /// A whole answer.
  public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// An answer whose body is made while it is sent.
  public init(
    status: Int, headers: [(name: String, value: String)] = [],
    stream: @escaping @Sendable (ServerResponseWriter) async throws -> Void
  ) {
    self.init(status: status, headers: headers)
    self.stream = stream
  }

  /// `value` as `application/json`. Throws where it has no JSON form (a number that is not finite).
  public static func json(
    _ status: Int, _ value: JSONValue, headers: [(name: String, value: String)] = []
  ) throws(JSONError) -> ServerResponse {
    guard value.isFinite else { throw JSONError("an answer holds a number that is not finite, which JSON can't have") }
    return ServerResponse(
      status: status, headers: [(name: "Content-Type", value: "application/json")] + headers, body: value.compactBytes)
  }

  /// The error shape of every server of the system: `{"error":{"code":"…","message":"…"}}`.
  public static func failure(
    _ status: Int, code: String, message: String, headers: [(name: String, value: String)] = []
  ) -> ServerResponse {
    let value: JSONValue = ["error": ["code": .string(code), "message": .string(message)]]
    return ServerResponse(
      status: status, headers: [(name: "Content-Type", value: "application/json")] + headers, body: value.compactBytes)
  }

  /// `text` as UTF-8 with that content type.
  public static func text(
    _ status: Int, _ text: String, contentType: String = "text/plain; charset=utf-8"
  ) -> ServerResponse {
    ServerResponse(status: status, headers: [(name: "Content-Type", value: contentType)], body: Array(text.utf8))
  }

  /// `value` as `application/json` with status 200.
  public static func json(_ value: JSONValue) throws(JSONError) -> ServerResponse { try .json(200, value) }
  /// `text` as plain UTF-8 with status 200.
  public static func text(_ text: String) -> ServerResponse { .text(200, text) }

  /// The first header of that name (any case).
  public func header(_ name: String) -> String? {
    let wanted = name.lowercased()
    return headers.first { $0.name.lowercased() == wanted }?.value
  }
}

/// Where a streaming answer writes. One task writes at a time.
public struct ServerResponseWriter: Sendable {
  let send: @Sendable ([UInt8]) async throws -> Void
  /// Sends the bytes at once and returns when the kernel has them; throws when the client is gone.
  public func write(_ bytes: [UInt8]) async throws { try await send(bytes) }
}

/// Thrown by a handler to answer with an error of the common shape; not counted as a failure of the server.
public struct ServerRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  /// HTTP status, 400–599.
  public let status: Int
  /// A word for programs: `not_found`.
  public let code: String
  /// One sentence for people.
  public let message: String
  /// Status, code and sentence on one line.
  public var description: String { "\(status) \(code): \(message)" }
  /// Makes a refusal.
  public init(status: Int, code: String, message: String) {
    self.status = status
    self.code = code
    self.message = message
  }
  /// The answer it stands for.
  public var response: ServerResponse { .failure(status, code: code, message: message) }
}
