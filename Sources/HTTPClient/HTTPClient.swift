/// One HTTP request to a server outside.
public struct HTTPRequest: Sendable {
  public var method: String
  public var url: String
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]?
  /// Whole-request limit.
  public var timeout: Duration
  /// AWS SigV4 signing (libcurl's), for plain object GETs; nil for none.
  public var signing: AWSSigning?

  public init(
    method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
    timeout: Duration = .seconds(30), signing: AWSSigning? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
    self.signing = signing
  }
}

/// What signs an S3 request.
public struct AWSSigning: Sendable {
  public var accessKeyID: String
  public var secretAccessKey: String
  public var region: String
  public init(accessKeyID: String, secretAccessKey: String, region: String) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.region = region
  }
}

/// A whole answer, any status.
public struct HTTPResponse: Sendable {
  public var status: Int
  /// Names in lower case.
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]
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
  public let method: String
  public let url: String
  /// libcurl's code and words.
  public let code: Int
  public let reason: String
  public var description: String { "\(method) \(url): \(reason) (libcurl code \(code))" }
  public init(method: String, url: String, code: Int, reason: String) {
    self.method = method
    self.url = url
    self.code = code
    self.reason = reason
  }
}

/// Sends requests; what tests replace.
public protocol HTTPTransport: Sendable {
  func send(_ request: HTTPRequest) async throws -> HTTPResponse
}

/// The libcurl client: one thread with `curl_multi_poll`, connections kept alive and shared by all callers.
public final class HTTPClient: HTTPTransport {
  /// `userAgent` names the daemon; `maxResponseBytes` bounds what a server can make us hold.
  public init(userAgent: String = "botburrow", maxResponseBytes: Int = 16 << 20) {}
  public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    throw HTTPClientError(method: request.method, url: request.url, code: -1, reason: "stub")
  }
}
