import HTTPClient
import JSON
import Synchronization
import Testing

@testable import Gateway

/// A server with a URL, in memory.
private final class FakeURL: HTTPTransport {
  private let seen = Mutex<[HTTPRequest]>([])
  private let answer: @Sendable (HTTPRequest, JSONValue) throws -> HTTPResponse
  init(_ answer: @escaping @Sendable (HTTPRequest, JSONValue) throws -> HTTPResponse) { self.answer = answer }
  var requests: [HTTPRequest] { seen.withLock { $0 } }
  func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    seen.withLock { $0.append(request) }
    return try answer(request, try JSONValue(parsing: request.body ?? []))
  }
  var downstream: HTTPDownstream {
    HTTPDownstream(
      url: "http://tools.example/mcp", headers: [(name: "Authorization", value: "Bearer canary-key")], transport: self,
      callTimeout: .seconds(5), resultLimit: 4096, redactor: Redactor(["canary-key"]))
  }
}

private func json(_ message: JSONValue, _ result: JSONValue, headers: [(name: String, value: String)] = [])
  -> HTTPResponse
{
  HTTPResponse(
    status: 200, headers: [(name: "content-type", value: "application/json")] + headers,
    body: Array(StdioServer.result(message, result).utf8))
}

extension HTTPRequest {
  fileprivate func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
}

@Suite("Servers with a URL") struct HTTPDownstreamTests {
  @Test func `The stateless revision where the server speaks it`() async throws {
    let server = FakeURL { request, message in
      switch message["method"]?.string {
      case "server/discover": json(message, ["supportedVersions": ["2026-07-28"], "resultType": "complete"])
      case "tools/list": json(message, ["tools": [["name": "größe"]], "resultType": "complete"])
      default: json(message, ["content": ["key canary-key"], "resultType": "complete"])
      }
    }
    let downstream = server.downstream
    #expect(try await downstream.tools().compactMap { $0["name"]?.string } == ["größe"])
    #expect(try await downstream.call("größe", ["a": 1]).members["content"] == ["key ***"])
    #expect(try await downstream.tools().count == 1)
    let requests = server.requests
    #expect(requests.count == 3)
    #expect(requests.allSatisfy { $0.header("authorization") == "Bearer canary-key" })
    #expect(requests.allSatisfy { $0.header("mcp-protocol-version") == "2026-07-28" })
    #expect(requests.map { $0.header("mcp-method") } == ["server/discover", "tools/list", "tools/call"])
    #expect(requests[2].header("mcp-name") == "=?base64?Z3LDtsOfZQ==?=")
    let body = try JSONValue(parsing: requests[2].body ?? [])
    #expect(body["params"]?["_meta"]?["io.modelcontextprotocol/protocolVersion"] == "2026-07-28")
  }

  @Test func `Else the handshake, with its session and streams of events`() async throws {
    let server = FakeURL { request, message in
      switch message["method"]?.string {
      case "server/discover": HTTPResponse(status: 400, body: Array("Bad Request: No valid session".utf8))
      case "initialize":
        json(
          message, ["protocolVersion": "2025-06-18", "capabilities": ["tools": [:]]],
          headers: [(name: "mcp-session-id", value: "s1")])
      case "notifications/initialized": HTTPResponse(status: 202)
      default:
        HTTPResponse(
          status: 200, headers: [(name: "Content-Type", value: "text/event-stream")],
          body: Array(
            ("event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n"
              + "data: \(StdioServer.result(message, ["tools": [["name": "a"]]]))\n\n").utf8))
      }
    }
    #expect(try await server.downstream.tools().count == 1)
    let last = try #require(server.requests.last)
    #expect(last.header("mcp-protocol-version") == "2025-06-18")
    #expect(last.header("mcp-session-id") == "s1")
  }

  @Test func `A session that is over is begun again, once`() async throws {
    let sessions = Mutex(0)
    let server = FakeURL { request, message in
      switch message["method"]?.string {
      case "server/discover": return HTTPResponse(status: 404)
      case "initialize":
        let number = sessions.withLock { count in
          count += 1
          return count
        }
        return json(
          message, ["protocolVersion": "2025-11-25", "capabilities": ["tools": [:]]],
          headers: [(name: "mcp-session-id", value: "s\(number)")])
      case "notifications/initialized": return HTTPResponse(status: 202)
      default:
        return request.header("mcp-session-id") == "s1" ? HTTPResponse(status: 404) : json(message, ["content": []])
      }
    }
    #expect(try await server.downstream.call("a", [:]).members["content"] == [])
    #expect(sessions.withLock { $0 } == 2)
  }

  @Test func `What is no answer is an error without the server's words`() async throws {
    for (response, error) in [
      (
        HTTPResponse(status: 500, body: Array("stack trace".utf8)),
        DownstreamError.refused(code: -32603, message: "status 500")
      ),
      (HTTPResponse(status: 200, body: Array("hello".utf8)), .unreadable("there is no answer to the request in it")),
      (HTTPResponse(status: 200, body: [UInt8](repeating: 32, count: 5000)), .tooLarge(limit: 4096)),
    ] {
      let server = FakeURL { _, message in
        switch message["method"]?.string {
        case "server/discover": json(message, ["supportedVersions": ["2026-07-28"]])
        default: response
        }
      }
      await #expect(throws: error) { try await server.downstream.call("a", [:]) }
    }
    let away = FakeURL { request, _ in
      throw HTTPClientError(method: "POST", url: request.url, code: 7, reason: "refused")
    }
    let error = await #expect(throws: DownstreamError.self) { try await away.downstream.tools() }
    #expect(error?.agentWords == "can't be reached now")
  }

  @Test func `Our own front is such a server, in both eras`() async throws {
    let caller = Caller()
    for eras in [true, false] {
      let front = FakeFront(server: caller.server(), knowsStateless: eras)
      let downstream = HTTPDownstream(
        url: "http://x/mcp/hub", headers: [(name: "Authorization", value: "Bearer \(Caller.token)")], transport: front,
        callTimeout: .seconds(5), resultLimit: 1 << 20)
      #expect(try await downstream.tools().count == 4)
      #expect(try await downstream.call("search", ["query": "x"]).members["isError"] == false)
    }
  }
}

private struct FakeFront: HTTPTransport {
  let server: MCPServer
  let knowsStateless: Bool
  func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    if !knowsStateless, request.header("mcp-protocol-version") == "2026-07-28" { return HTTPResponse(status: 400) }
    let answer = await server.handle(
      MCPRequest(method: request.method, headers: request.headers, body: request.body ?? []))
    return HTTPResponse(
      status: answer.status, headers: answer.headers, body: answer.body.map { Array($0.compactText.utf8) } ?? [])
  }
}
