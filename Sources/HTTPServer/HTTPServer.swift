import NIOCore
import NIOPosix

/// A whole request as a handler sees it.
public struct ServerRequest: Sendable {
  public var method: String
  /// Percent-decoded path without the query.
  public var path: String
  /// Decoded query pairs in order.
  public var query: [(name: String, value: String)]
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]
  public init(
    method: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
  }
  /// The first header of that name (any case).
  public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
  /// The first query value of that name.
  public func queryValue(_ name: String) -> String? { query.first { $0.name == name }?.value }
}

/// A whole answer.
public struct ServerResponse: Sendable {
  public var status: Int
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]
  public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

/// Where a server listens.
public enum ServerAddress: Sendable, Hashable {
  /// TCP; port 0 takes a free one.
  case tcp(host: String, port: Int)
  case unix(path: String)
  /// A listening socket made elsewhere and handed over; the server closes it.
  case listener(descriptor: Int32)
}

/// A small HTTP/1.1 server on SwiftNIO: whole requests in, whole answers out, keep-alive, bounded bodies.
public final class HTTPServer: Sendable {
  /// The bound TCP port (0 for Unix sockets and handed listeners without one).
  public let port: Int
  init(port: Int) { self.port = port }

  /// Binds and serves until `stop`. A handler that throws answers 500 without its text.
  public static func start(
    at address: ServerAddress, maxBodyBytes: Int = 4 << 20,
    handler: @escaping @Sendable (ServerRequest) async throws -> ServerResponse
  ) async throws -> HTTPServer {
    HTTPServer(port: 0)
  }
  /// Stops accepting, ends open connections, returns when all are closed.
  public func stop() async {}
}
