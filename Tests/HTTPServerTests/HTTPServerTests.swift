import Glibc
import Synchronization
import Testing

@testable import HTTPServer

/// Starts a server on a free port, runs `body`, stops the server.
private func serving(
  _ options: HTTPServer.Options = .init(), handler: @escaping HTTPServer.Handler = echo,
  _ body: (HTTPServer) async throws -> Void
) async throws {
  let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0), options: options, handler: handler)
  do {
    try await body(server)
  } catch {
    await server.stop(grace: .zero)
    throw error
  }
  await server.stop(grace: .zero)
}

@Sendable private func echo(_ request: ServerRequest) -> ServerResponse {
  .text("\(request.method) \(request.path) \(String(decoding: request.body, as: UTF8.self))")
}

private func exchange(_ port: Int, _ text: String) async throws -> String {
  let client = try RawClient(port: port)
  try client.send(text)
  return try await client.readToEnd()
}

private func body(_ answer: String) -> Substring {
  let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
  return parts.count > 1 ? parts[1] : ""
}

@Suite struct HTTPServerTests {
  @Test func keepsAConnectionForTheNextRequest() async throws {
    try await serving { server in
      let client = try RawClient(port: server.port)
      try client.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
      let first = try await client.read(until: "GET /one ")
      #expect(first.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(first.contains("\r\nContent-Length: 9\r\n"))
      #expect(!first.contains("Connection:"))
      try client.send("POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
      let second = try await client.readToEnd()
      #expect(second.contains("\r\nConnection: close\r\n"))
      #expect(body(second) == "POST /two hi")
    }
  }

  @Test func answersPipelinedRequestsOneAfterTheOther() async throws {
    let running = Mutex((now: 0, most: 0))
    try await serving { request in
      running.withLock { $0 = (now: $0.now + 1, most: max($0.most, $0.now + 1)) }
      // The first request takes longest: an answer out of order would show.
      try await Task.sleep(for: .milliseconds(request.path == "/0" ? 30 : 1))
      running.withLock { $0.now -= 1 }
      return .text("<\(request.path)>")
    } _: { server in
      let client = try RawClient(port: server.port)
      try client.send((0..<5).map { "GET /\($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined())
      let answers = try await client.read(until: ">", times: 5)
      #expect(
        answers.split(separator: "\r\n").compactMap { $0.hasPrefix("<") ? $0.prefix(4) : nil } == [
          "</0>", "</1>", "</2>", "</3>", "</4>",
        ])
      #expect(running.withLock { $0.most } == 1)
    }
  }

  @Test func speaksHTTP10() async throws {
    try await serving { server in
      let plain = try await exchange(server.port, "GET /old HTTP/1.0\r\n\r\n")
      #expect(plain.contains("\r\nConnection: close\r\n"))
      #expect(body(plain) == "GET /old ")
      let client = try RawClient(port: server.port)
      try client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      #expect(try await client.read(until: "GET /old ").contains("\r\nConnection: keep-alive\r\n"))
    }
  }

  @Test func answersHeadWithTheLengthAlone() async throws {
    try await serving { server in
      let answer = try await exchange(server.port, "HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(answer.contains("\r\nContent-Length: 8\r\n"))
      #expect(body(answer) == "")
    }
  }

  @Test(arguments: [
    ("GET /x HTTP/1.1\r\n\r\n", "a request needs exactly one Host header"),
    ("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "a request needs exactly one Host header"),
    ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "the path has a '%' that is not followed by two hexadecimal digits"),
    ("GET /a/%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "the path has a '..' segment"),
    ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "the path has a NUL byte"),
    ("GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", "the path is not UTF-8 after percent-decoding"),
    ("GET /?q=%f HTTP/1.1\r\nHost: x\r\n\r\n", "the query has a '%' that is not followed by two hexadecimal digits"),
    ("nonsense\r\n\r\n", "this is not an HTTP/1.1 request"),
    ("GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", "this is not an HTTP/1.1 request"),
    (
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "this is not an HTTP/1.1 request"
    ),
  ])
  func refusesMalformedRequests(_ request: String, _ message: String) async throws {
    try await serving { server in
      let answer = try await exchange(server.port, request)
      #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
      #expect(body(answer) == #"{"error":{"code":"bad_request","message":"\#(message)"}}"#)
    }
  }

  @Test(arguments: [
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
  ])
  func boundsTheBody(_ request: String) async throws {
    var options = HTTPServer.Options()
    options.maxBodyBytes = 10
    try await serving(options) { server in
      let answer = try await exchange(server.port, request)
      #expect(answer.hasPrefix("HTTP/1.1 413 "))
      #expect(body(answer) == #"{"error":{"code":"body_too_large","message":"the body is longer than 10 bytes"}}"#)
      // The bound itself is fine.
      let fits = try await exchange(
        server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789")
      #expect(body(fits) == "POST / 0123456789")
    }
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 20_000))\r\n\r\n",
    "GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\((0..<200).map { "A\($0): b\r\n" }.joined())\r\n",
  ])
  func boundsTheHead(_ request: String) async throws {
    try await serving { server in
      let answer = try await exchange(server.port, request)
      #expect(answer.hasPrefix("HTTP/1.1 431 "))
    }
  }

  @Test func saysContinueToAClientThatAsks() async throws {
    try await serving { server in
      let client = try RawClient(port: server.port)
      try client.send(
        "POST /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
      #expect(try await client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 Continue\r\n"))
      try client.send("ok")
      #expect(try await body(client.readToEnd()) == "POST /c ok")
    }
  }

  @Test func closesConnectionsThatDripTheirHead() async throws {
    var options = HTTPServer.Options()
    options.idleTimeout = .milliseconds(500)
    try await serving(options) { server in
      let answer = try await exchange(server.port, "GET / HTTP/1.1\r\n")
      #expect(answer == "")
    }
  }

  @Test func answers408ToABodyThatDoesNotCome() async throws {
    var options = HTTPServer.Options()
    options.bodyTimeout = .milliseconds(50)
    try await serving(options) { server in
      let answer = try await exchange(server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
      #expect(answer.hasPrefix("HTTP/1.1 408 "))
    }
  }

  @Test func closesConnectionsOverTheCap() async throws {
    var options = HTTPServer.Options()
    options.maxConnections = 1
    try await serving(options) { server in
      let first = try RawClient(port: server.port)
      try first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
      _ = try await first.read(until: "GET /1 ")
      #expect(try await RawClient(port: server.port).readToEnd() == "")
    }
  }

  @Test func answers500AndTellsTheOwnerWhenAHandlerThrows() async throws {
    struct Broken: Error {}
    let told = Mutex<[String]>([])
    var options = HTTPServer.Options()
    options.onHandlerError = { method, path, error in told.withLock { $0.append("\(method) \(path) \(error)") } }
    try await serving(options) { request in
      if request.path == "/split" { return ServerResponse(status: 200, headers: [("X", "a\r\nSet-Cookie: b")]) }
      throw Broken()
    } _: { server in
      let answer = try await exchange(server.port, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(answer.hasPrefix("HTTP/1.1 500 "))
      #expect(body(answer) == #"{"error":{"code":"internal_error","message":"the server failed; its log says why"}}"#)
      let split = try await exchange(server.port, "GET /split HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(split.hasPrefix("HTTP/1.1 500 "))
      #expect(!split.contains("Set-Cookie"))
      #expect(
        told.withLock { $0 } == [
          "GET /x Broken()",
          "GET /split the handler's answer has a header with control characters, or a status outside 200–599",
        ])
    }
  }

  @Test func streamsAnAnswerPieceByPiece() async throws {
    try await serving { request in
      ServerResponse(status: 200, headers: [("Content-Type", "text/event-stream")]) { writer in
        for piece in ["one", "two"] { try await writer.write(Array(piece.utf8)) }
      }
    } _: { server in
      let answer = try await exchange(server.port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      #expect(answer.lowercased().contains("\r\ntransfer-encoding: chunked\r\n"))
      #expect(body(answer) == "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
      let old = try await exchange(server.port, "GET / HTTP/1.0\r\n\r\n")
      #expect(body(old) == "onetwo")
    }
  }

  @Test func cancelsTheHandlerWhenTheClientGoesAway() async throws {
    let (events, signal) = AsyncStream.makeStream(of: String.self)
    try await serving { _ in
      signal.yield("started")
      do {
        try await Task.sleep(for: .seconds(30))
      } catch {
        signal.yield("cancelled")
        throw error
      }
      return .text("late")
    } _: { server in
      var iterator = events.makeAsyncIterator()
      do {
        let client = try RawClient(port: server.port)
        try client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await iterator.next() == "started")
      }  // the client is closed here
      #expect(await iterator.next() == "cancelled")
    }
  }

  @Test func stopLetsAnAnswerGoOutFirst() async throws {
    let (started, signal) = AsyncStream.makeStream(of: Void.self)
    let (released, release) = AsyncStream.makeStream(of: Void.self)
    let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { _ in
      signal.yield()
      for await _ in released {}
      // The stop has closed the listener; its next step takes no longer than this.
      try await Task.sleep(for: .milliseconds(50))
      return .text("done")
    }
    let client = try RawClient(port: server.port)
    try client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    var iterator = started.makeAsyncIterator()
    await iterator.next()
    let stopping = Task { await server.stop(grace: .seconds(5)) }
    while (try? RawClient(port: server.port)) != nil { await Task.yield() }
    release.finish()
    await stopping.value
    let answer = try await client.readToEnd()
    #expect(body(answer) == "done")
    #expect(answer.contains("\r\nConnection: close\r\n"))
  }
}
