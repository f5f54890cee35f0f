/// A whole answer, any status.
public struct HTTPResponse: Sendable {
  /// The status code.
  public var status: Int
  /// Names in lower case.
  public var headers: [(name: String, value: String)]
  /// What came below the headers, decoded from chunks.
  public var body: [UInt8]
  /// An answer, as tests make them.
  public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }
  /// The first header of that name (any case).
  public func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name.lowercased() }?.value
  }
}

/// No whole answer came: refused, timed out, cut, too large.
public struct HTTPClientError: Error, Sendable, CustomStringConvertible {
  /// The request's method.
  public let method: String
  /// The request's URL without a user name or password.
  public let url: String
  /// libcurl's code (libcurl-errors(3)); 0 where curl was never asked.
  public let code: Int
  /// libcurl's words, or ours.
  public let reason: String
  /// One sentence: method, URL, reason.
  public var description: String {
    code == 0 ? "\(method) \(url): \(reason)" : "\(method) \(url): \(reason) (libcurl code \(code))"
  }
  /// An error about a request; takes a user name and password out of `url`.
  public init(method: String, url: String, code: Int, reason: String) {
    self.method = method
    self.url = Self.withoutUserInfo(url)
    self.code = code
    self.reason = reason
  }

  private static func withoutUserInfo(_ url: String) -> String {
    guard let slashes = url.firstRange(of: "://") else { return url }
    let authority = url[slashes.upperBound...].prefix { !"/?#".contains($0) }
    guard let at = authority.lastIndex(of: "@") else { return url }
    return String(url[..<slashes.upperBound] + url[url.index(after: at)...])
  }
}
