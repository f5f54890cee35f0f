/// A whole request as a handler sees it.
public struct ServerRequest: Sendable {
  /// The method as sent (`GET`, `HEAD`, …).
  public var method: String
  /// Percent-decoded path without the query.
  public var path: String
  /// The path's segments, split before decoding: a `%2F` inside one does not make two.
  public var segments: [String]
  /// What a `Router` found at the `:name` parts of the matching pattern.
  public var parameters: [String: String] = [:]
  /// Decoded query pairs in order.
  public var query: [(name: String, value: String)]
  /// The query as sent, without its question mark; empty for none. For passing it on.
  public var rawQuery = ""
  /// Header fields in order, names as sent.
  public var headers: [(name: String, value: String)]
  /// The whole body.
  public var body: [UInt8]

  /// Makes a request as the server would, for tests and for calling a handler directly.
  public init(
    method: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.segments = path.split(separator: "/").map(String.init)
    self.query = query
    self.headers = headers
    self.body = body
  }

  init(
    method: String, target: RequestTarget, headers: [(name: String, value: String)], body: [UInt8]
  ) {
    self.method = method
    self.path = target.path
    self.segments = target.segments
    self.query = target.query
    self.rawQuery = target.rawQuery
    self.headers = headers
    self.body = body
  }

  /// The first header of that name (any case).
  public func header(_ name: String) -> String? {
    let wanted = name.lowercased()
    return headers.first { $0.name.lowercased() == wanted }?.value
  }
}
