import Synchronization

/// Sends requests; what tests replace.
public protocol HTTPTransport: Sendable {
  /// Sends a request and waits for the whole answer. Any status is an answer; `HTTPClientError` where none came,
  /// `CancellationError` where the task was cancelled.
  func send(_ request: HTTPRequest) async throws -> HTTPResponse
}

/// Sends requests whose answers come in pieces.
public protocol HTTPStreamTransport: HTTPTransport {
  /// Sends a request and returns once the answer's head is there. Throws as `send` does.
  func stream(_ request: HTTPRequest) async throws -> HTTPStreamedResponse
}

/// The libcurl client: one thread with `curl_multi_poll`, connections kept alive and shared by all callers.
///
/// HTTP and HTTPS only. Follows no redirect: a server that moves must be configured as moved, and credentials never
/// travel to a host that nobody named. Reads no proxy from the environment.
public final class HTTPClient: HTTPStreamTransport {
  private let loop: TransferLoop
  private let settings: TransferSettings

  /// Starts the client's thread, which ends with the client.
  /// - Parameters:
  ///   - userAgent: names the daemon to the server.
  ///   - maxResponseBytes: bounds what a server can make us hold for one answer, headers included.
  ///   - connectTimeout: limit on name lookup, connect and TLS handshake.
  ///   - proxy: URL of an HTTP proxy; nil for none.
  public init(
    userAgent: String = "botburrow", maxResponseBytes: Int = 16 << 20, connectTimeout: Duration = .seconds(10),
    proxy: String? = nil
  ) {
    settings = TransferSettings(
      userAgent: userAgent, maxResponseBytes: maxResponseBytes, connectTimeout: connectTimeout, proxy: proxy)
    loop = TransferLoop.start()
  }

  deinit { loop.stop() }

  /// See `HTTPTransport.send`.
  public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    if let defect = request.defect {
      throw HTTPClientError(method: request.method, url: request.url, code: 0, reason: defect)
    }
    let ticket = TransferTicket()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let answer = WholeAnswer(limit: settings.maxResponseBytes) { continuation.resume(with: $0) }
        loop.add(Transfer(request, settings: settings, ticket: ticket, receiver: answer))
      }
    } onCancel: {
      loop.cancel(ticket)
    }
  }

  /// Sends a request over HTTP/1.1 and returns once the answer's head is there; its body is read piece by piece, of any
  /// length. Throws as `send` does. `request.timeout` limits the whole exchange, the body's end included.
  public func stream(_ request: HTTPRequest) async throws -> HTTPStreamedResponse {
    if let defect = request.defect {
      throw HTTPClientError(method: request.method, url: request.url, code: 0, reason: defect)
    }
    let ticket = TransferTicket()
    let loop = loop
    let made = Mutex<StreamedAnswer?>(nil)
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { head in
        let answer = StreamedAnswer(head: head) { loop.resume(ticket) }
        made.withLock { $0 = answer }
        loop.add(Transfer(request, settings: settings, ticket: ticket, receiver: answer, overHTTP1: true))
      }
    } onCancel: {
      loop.cancel(ticket)
    }
    guard let answer = made.withLock({ $0 }) else { throw CancellationError() }
    let head = answer.head
    // The body holds the client: a transfer in use keeps its loop.
    let body = HTTPBody(answer) { [self] in self.loop.cancel(ticket) }
    return HTTPStreamedResponse(status: head.status, headers: head.headers, body: body)
  }
}
