import Glibc
import Testing

@testable import HTTPClient

private func message(_ request: HTTPRequest, client: HTTPClient = HTTPClient()) async -> String {
  do {
    return "status \(try await client.send(request).status)"
  } catch {
    return "\(error)"
  }
}

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: one\r\nx-a: two\r\n\r\nhi"

@Suite struct HTTPClientTests {
  @Test func wholeAnswer() async throws {
    let server = try ScriptedServer { _ in .answer(ok) }
    let answer = try await HTTPClient(userAgent: "tester").send(
      HTTPRequest(url: server.url("/a/../b?q=1%202"), headers: [("X-Empty", ""), ("Authorization", "Bearer s")]))
    #expect(answer.status == 200)
    #expect(answer.body == Array("hi".utf8))
    #expect(answer.header("X-A") == "one")
    #expect(answer.headers.map(\.name) == ["content-length", "x-a", "x-a"])
    let head = try #require(server.requests.first?.head)
    #expect(head.hasPrefix("GET /a/../b?q=1%202 HTTP/1.1\r\n"))
    for line in ["User-Agent: tester", "X-Empty:", "Authorization: Bearer s"] {
      #expect(head.contains("\r\n\(line)\r\n"), "\(line)")
    }
  }

  @Test(arguments: ["POST", "PUT", "PATCH", "DELETE", "GET"])
  func bodiesGoWithEveryMethod(method: String) async throws {
    let server = try ScriptedServer { _ in .answer(ok) }
    let body = String(repeating: "b", count: 5000)
    let answer = try await HTTPClient().send(
      HTTPRequest(
        method: method, url: server.url(), headers: [("Content-Type", "application/json")], body: Array(body.utf8)))
    #expect(answer.status == 200)
    let seen = try #require(server.requests.first)
    #expect(seen.head.hasPrefix("\(method) / HTTP/1.1"))
    #expect(seen.body == body)
    #expect(!seen.head.lowercased().contains("expect:"))
    #expect(seen.head.contains("Content-Type: application/json"))
  }

  @Test func emptyBodies() async throws {
    let server = try ScriptedServer { _ in .answer("HTTP/1.1 204 No Content\r\n\r\n") }
    let client = HTTPClient()
    for method in ["POST", "PUT", "DELETE"] {
      #expect(try await client.send(HTTPRequest(method: method, url: server.url())).status == 204)
    }
    #expect(server.requests.map { $0.head.contains("Content-Length: 0") } == [true, true, false])
    #expect(!server.requests.contains { $0.head.lowercased().contains("content-type") })
  }

  @Test func headAnswersWithoutWaitingForABody() async throws {
    let server = try ScriptedServer { _ in .answer("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n") }
    let answer = try await HTTPClient().send(HTTPRequest(method: "HEAD", url: server.url()))
    #expect(answer.header("content-length") == "99")
    #expect(answer.body.isEmpty)
  }

  @Test func connectionsAreKeptAlive() async throws {
    let server = try ScriptedServer { _ in .answer(ok) }
    let client = HTTPClient()
    for _ in 0..<5 { _ = try await client.send(HTTPRequest(url: server.url())) }
    #expect(server.requests.map(\.connection) == [0, 0, 0, 0, 0])
  }

  @Test func manyAtOnceShareTheThread() async throws {
    let server = try ScriptedServer { _ in .answer(ok) }
    let client = HTTPClient()
    let url = server.url()
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<64 { group.addTask { try await client.send(HTTPRequest(url: url)).status } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses == Array(repeating: 200, count: 64))
  }

  @Test func interimAnswersAreSkipped() async throws {
    let server = try ScriptedServer { _ in .answer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok) }
    let answer = try await HTTPClient().send(HTTPRequest(url: server.url()))
    #expect(answer.status == 200)
    #expect(answer.header("link") == nil)
  }

  @Test func unixSocket() async throws {
    let path = "/tmp/botburrow-http-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    defer { unlink(path) }
    let server = try ScriptedServer(unixPath: path) { _ in .answer(ok) }
    let answer = try await HTTPClient().send(HTTPRequest(url: "http://localhost/x", unixSocket: path))
    #expect(answer.status == 200)
    #expect(server.requests.first?.head.hasPrefix("GET /x HTTP/1.1") == true)
  }

  @Test func redirectsAreNotFollowed() async throws {
    let server = try ScriptedServer { _ in
      .answer("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    }
    let answer = try await HTTPClient().send(HTTPRequest(url: server.url()))
    #expect(answer.status == 302)
    #expect(server.requests.count == 1)
  }

  @Test func cancellingEndsTheTransferAndTheConnection() async throws {
    let server = try ScriptedServer { _ in .stall }
    let client = HTTPClient()
    let url = server.url()
    let task = Task { try await client.send(HTTPRequest(url: url)) }
    var events = server.events.makeAsyncIterator()
    guard case .request = await events.next() else { return #expect(Bool(false), "no request arrived") }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    guard case .closed = await events.next() else { return #expect(Bool(false), "the connection stayed open") }
  }

  @Test func aTaskCancelledBeforehandSendsNothing() async throws {
    let server = try ScriptedServer { _ in .answer(ok) }
    let client = HTTPClient()
    let url = server.url()
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await client.send(HTTPRequest(url: url))
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(server.requests.isEmpty)
  }

  @Test func theThreadEndsWithTheClient() async throws {
    weak var loop: TransferLoop?
    do {
      let client = TransferLoop.start()
      loop = client
      client.stop()
    }
    for _ in 0..<5000 where loop != nil { usleep(1000) }
    #expect(loop == nil)
  }
}

@Suite struct HTTPClientErrorTests {
  @Test func refusedConnection() async throws {
    let port = try ScriptedServer { _ in .stall }.port  // gone again: nobody listens there
    let text = await message(HTTPRequest(url: "http://127.0.0.1:\(port)/x"))
    // Between them stand the milliseconds that it took.
    #expect(
      text.hasPrefix("GET http://127.0.0.1:\(port)/x: Failed to connect to 127.0.0.1 port \(port) after "))
    #expect(text.hasSuffix(" ms: Couldn't connect to server (libcurl code 7)"))
  }

  @Test func noAnswerInTime() async throws {
    let server = try ScriptedServer { _ in .stall }
    let text = await message(HTTPRequest(url: server.url(), timeout: .milliseconds(200)))
    #expect(text.hasPrefix("GET \(server.url()): Operation timed out after "))
    #expect(text.hasSuffix(" milliseconds with 0 bytes received (libcurl code 28)"))
  }

  @Test func cutAnswer() async throws {
    let server = try ScriptedServer { _ in .cut("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") }
    #expect(
      await message(HTTPRequest(url: server.url()))
        == "GET \(server.url()): transfer closed with 7 bytes remaining to read (libcurl code 18)")
  }

  @Test func emptyAnswer() async throws {
    let server = try ScriptedServer { _ in .cut("") }
    #expect(
      await message(HTTPRequest(method: "POST", url: server.url()))
        == "POST \(server.url()): Empty reply from server (libcurl code 52)")
  }

  @Test func answerThatNeverEndsIsCutAtTheLimit() async throws {
    let server = try ScriptedServer { _ in .flood(head: "HTTP/1.1 200 OK\r\n\r\n") }
    #expect(
      await message(HTTPRequest(url: server.url()), client: HTTPClient(maxResponseBytes: 100_000))
        == "GET \(server.url()): the answer is larger than 100000 bytes (libcurl code 23)")
  }

  @Test func headersThatNeverEndAreCutAtTheLimit() async throws {
    let line = String(repeating: "X-H: " + String(repeating: "y", count: 1000) + "\r\n", count: 200)
    let server = try ScriptedServer { _ in .cut("HTTP/1.1 200 OK\r\n" + line) }
    #expect(
      await message(HTTPRequest(url: server.url()), client: HTTPClient(maxResponseBytes: 10_000))
        == "GET \(server.url()): the answer is larger than 10000 bytes (libcurl code 23)")
  }

  @Test(arguments: [
    (HTTPRequest(url: "ftp://h/x"), "GET ftp://h/x: the URL must begin with http:// or https://"),
    (HTTPRequest(url: "file:///etc/passwd"), "GET file:///etc/passwd: the URL must begin with http:// or https://"),
    (
      HTTPRequest(url: "http://h/a b"),
      "GET http://h/a b: the URL holds a space or a control character; percent-encode it"
    ),
    (HTTPRequest(method: "GE T", url: "http://h/"), "GE T http://h/: the method is not a word"),
    (
      HTTPRequest(url: "http://h/", headers: [("X", "secret\r\nY: 1")]),
      "GET http://h/: the value of header 'X' holds a line break"
    ),
    (
      HTTPRequest(url: "http://h/", headers: [("X:", "1")]),
      "GET http://h/: a header's name is empty or holds a character that names can't have"
    ),
  ])
  func requestsThatCannotBeSent(request: HTTPRequest, expected: String) async {
    #expect(await message(request) == expected)
  }

  @Test func passwordsInURLsStayOutOfErrors() {
    let error = HTTPClientError(method: "GET", url: "http://u:p@h:1/x@y", code: 7, reason: "r")
    #expect(error.description == "GET http://h:1/x@y: r (libcurl code 7)")
  }
}
