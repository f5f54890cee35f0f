import HTTPClient
import Synchronization

/// Answers requests from a list and remembers them.
final class FakeTransport: HTTPTransport {
  private let state: Mutex<(answers: [Result<HTTPResponse, HTTPClientError>], requests: [HTTPRequest])>

  init(_ answers: [Result<HTTPResponse, HTTPClientError>]) { state = Mutex((answers, [])) }

  convenience init(_ bodies: String..., status: Int = 200, headers: [(name: String, value: String)] = []) {
    self.init(bodies.map { .success(HTTPResponse(status: status, headers: headers, body: Array($0.utf8))) })
  }

  var requests: [HTTPRequest] { state.withLock { $0.requests } }

  func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    try state.withLock { state in
      state.requests.append(request)
      // The last answer stays, so that a client that loops shows itself by its number of requests.
      return state.answers.count > 1 ? try state.answers.removeFirst().get() : try state.answers[0].get()
    }
  }
}
