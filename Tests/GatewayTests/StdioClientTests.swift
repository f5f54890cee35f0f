import Glibc
import JSON
import Linux
import Synchronization
import Testing

@testable import Gateway

@Suite("The client of a server on standard streams") struct StdioClientTests {
  private func text(_ text: String) -> JSONValue { ["content": [["type": "text", "text": .string(text)]]] }

  @Test func `It shakes hands with 2025-11-25, lists all pages, and calls`() async throws {
    let server = try StdioServer { message in
      switch (message["method"]?.string, message["params"]?["cursor"]?.string) {
      case ("tools/list", nil): [StdioServer.result(message, ["tools": [["name": "b"]], "nextCursor": "2"])]
      case ("tools/list", "2"): [StdioServer.result(message, ["tools": [["name": "a"]]])]
      case ("tools/call", _):
        ["a print that went astray", "", StdioServer.result(message, ["content": [], "isError": true])]
      default: StdioServer.ordinary()(message)
      }
    }
    let client = try await server.client()
    #expect(try await client.tools().compactMap { $0["name"]?.string } == ["b", "a"])
    #expect(try await client.tools().count == 2)
    let result = try await client.call("a", ["x": 1])
    #expect(result.members["isError"] == true)
    #expect(
      server.methods() == ["initialize", "notifications/initialized", "tools/list", "tools/list", "tools/call"])
    #expect(server.messages[0]["params"]?["protocolVersion"] == "2025-11-25")
    #expect(server.messages[4]["params"] == ["name": "a", "arguments": ["x": 1]])
    client.close()
  }

  @Test func `Answers out of order find their callers`() async throws {
    let held = Mutex<[JSONValue]>([])
    let server = try StdioServer(
      StdioServer.ordinary { message in
        held.withLock { held in
          held.append(message)
          guard held.count == 3 else { return [] }
          return held.reversed().map {
            StdioServer.result($0, ["content": [$0["params"]?["arguments"]?["n"] ?? .null]])
          }
        }
      })
    let client = try await server.client()
    try await withThrowingTaskGroup(of: (Int64, JSONValue?).self) { group in
      for number in 1...3 as ClosedRange<Int64> {
        group.addTask { (number, try await client.call("t", ["n": .integer(number)]).members["content"]) }
      }
      for try await (number, content) in group { #expect(content == [.integer(number)]) }
    }
    client.close()
  }

  @Test func `A call that takes too long is given up, and the server is told`() async throws {
    let server = try StdioServer(StdioServer.ordinary { _ in [] })
    let client = try await server.client { $0.callTimeout = .milliseconds(50) }
    await #expect(throws: DownstreamError.timeout(.milliseconds(50))) { try await client.call("t", [:]) }
    try await eventually { server.methods().last == "notifications/cancelled" }
    let call = try #require(server.messages.first { $0["method"] == "tools/call" })
    #expect(server.messages.last?["params"]?["requestId"] == call["id"])
    client.close()
  }

  @Test func `A caller that goes away is told on`() async throws {
    let server = try StdioServer(StdioServer.ordinary { _ in [] })
    let client = try await server.client()
    let call = Task { try await client.call("t", [:]) }
    try await eventually { server.methods().contains("tools/call") }
    call.cancel()
    await #expect(throws: DownstreamError.cancelled) { try await call.value }
    try await eventually { server.methods().last == "notifications/cancelled" }
    client.close()
  }

  @Test func `Too large an answer fails its call alone, and the next one works`() async throws {
    let server = try StdioServer(
      StdioServer.ordinary { message in
        message["params"]?["name"] == "large"
          ? [
            "{\"jsonrpc\":\"2.0\",\"id\":\(message["id"]?.integer ?? 0),\"result\":\"\(String(repeating: "x", count: 9000))\"}"
          ]
          : [StdioServer.result(message, ["content": []])]
      })
    let client = try await server.client { $0.resultLimit = 4096 }
    await #expect(throws: DownstreamError.tooLarge(limit: 4096)) { try await client.call("large", [:]) }
    #expect(try await client.call("small", [:]).members["content"] == [])
    client.close()
  }

  @Test(
    arguments: [
      (#"{"jsonrpc":"2.0","id":7,"result":{"#, "", 7), (#"{ "id" : 7, "result":{"#, "", 7),
      (#"{"result":{"content":["#, #"…"}]},"jsonrpc":"2.0","id":7}"#, 7),
      (#"{"result":{"a":["#, #"]},"id":7,"jsonrpc":"2.0"}"#, 7),
      // Of somebody else: within a result.
      (#"{"result":{"id":8,"#, #""id":8}}"#, nil), (#"{"jsonrpc":"2.0","result":{"id":8,"#, #"{"id":8}"#, nil),
    ] as [(String, String, Int64?)])
  func `Whose an answer is that was cut`(head: String, tail: String, id: Int64?) {
    #expect(StdioClient.id(head: Array(head.utf8), tail: Array(tail.utf8)) == id)
  }

  /// A server that says nothing but its secret: once through, however often it is there.
  @Test func `Any number of secrets is taken out`() {
    let said = String(repeating: "secret-1", count: 200_000)
    let shown = Redactor(["secret-1"]).redacted(Array(said.utf8))
    #expect(shown == Array(String(repeating: "***", count: 200_000).utf8))
  }

  @Test func `What a server asks is unknown here, but for ping`() async throws {
    let server = try StdioServer(StdioServer.ordinary())
    let client = try await server.client()
    try server.say(#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{}}"#)
    try server.say(#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#)
    try await eventually { server.messages.contains { $0["id"] == 7 } }
    #expect(server.messages.first { $0["id"] == "s1" }?["error"]?["code"] == -32601)
    #expect(server.messages.first { $0["id"] == 7 }?["result"] == [:])
    client.close()
  }

  @Test func `A changed list is asked for again`() async throws {
    let server = try StdioServer(StdioServer.ordinary())
    let client = try await server.client()
    _ = try await client.tools()
    _ = try await client.tools()
    try server.say(#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#)
    try await eventually {
      _ = try await client.tools()
      return server.methods().count { $0 == "tools/list" } == 2
    }
    client.close()
  }

  @Test func `A server that ends fails who waits, and who comes later`() async throws {
    let server = try StdioServer(StdioServer.ordinary { _ in [] })
    let client = try await server.client()
    let call = Task { try await client.call("t", [:]) }
    try await eventually { server.methods().contains("tools/call") }
    server.end()
    await #expect(throws: DownstreamError.ended) { try await call.value }
    await #expect(throws: DownstreamError.ended) { try await client.call("t", [:]) }
    client.close()
  }

  @Test func `A server of another mind isn't started`() async throws {
    for (answer, words) in [
      (StdioServer.ordinary(version: "1999-01-01"), "revision '1999-01-01'"),
      ({ [StdioServer.result($0, ["protocolVersion": "2025-06-18", "capabilities": [:]])] }, "has no tools"),
      ({ _ in [] }, "did not answer within"),
    ] as [(StdioServer.Answer, String)] {
      let server = try StdioServer(answer)
      let error = await #expect(throws: DownstreamError.self) {
        try await server.client { $0.startTimeout = .milliseconds(100) }
      }
      #expect(error?.description.contains(words) == true)
    }
    let old = try StdioServer(StdioServer.ordinary(version: "2024-11-05"))
    try await old.client().close()
  }

  @Test func `Secrets and floods of standard error stay out`() async throws {
    let server = try StdioServer(
      StdioServer.ordinary { [StdioServer.result($0, ["content": ["the key is canary-99\"1"]])] })
    let lines = Mutex<[String]>([])
    let client = try await server.client { options in
      options.redactor = Redactor(["canary-99\"1", "x"])
      options.errorLines = 3
      options.onErrorLine = { line in lines.withLock { $0.append(line) } }
    }
    #expect(try await client.call("t", [:]).members["content"] == ["the key is ***"])
    for number in 0..<50 { try server.complain("line \(number) with canary-99\"1 in it") }
    try await eventually { lines.withLock { $0.count } == 3 }
    #expect(
      lines.withLock { $0 } == [
        "line 0 with *** in it", "line 1 with *** in it", "line 2 with *** in it (further lines are left out)",
      ])
    client.close()
  }
}

/// Looks until it is so.
func eventually(
  within time: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + time
  while ContinuousClock.now < deadline {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(2))
  }
  throw NotInTime()
}
struct NotInTime: Error {}
