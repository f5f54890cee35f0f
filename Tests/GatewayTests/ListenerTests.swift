import HTTPClient
import HTTPServer
import JSON
import Testing

@testable import Gateway

@Suite("The gateway on a real socket")
struct ListenerTests {
  @Test("serves /mcp/hub for one activation and is gone after it")
  func roundTrip() async throws {
    let caller = Caller()
    let listener = GatewayListener()
    let port = try await listener.serve(caller.server(), at: .tcp(host: "127.0.0.1", port: 0))
    let client = HTTPClient()
    func ask(_ path: String, method: String = "POST", token: String? = Caller.token) async throws -> HTTPResponse {
      let headers = token.map { [(name: "Authorization", value: "Bearer \($0)")] } ?? []
      return try await client.send(
        HTTPRequest(
          method: method, url: "http://127.0.0.1:\(port)\(path)",
          headers: headers + [("Content-Type", "application/json")],
          body: method == "POST" ? Array(#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.utf8) : nil))
    }
    let list = try await ask("/mcp/hub")
    #expect(list.status == 200)
    #expect(list.header("Content-Type") == "application/json")
    #expect(try JSONValue(parsing: list.body).toolNames.count == 4)
    #expect(try await ask("/mcp/hub", token: nil).status == 401)
    #expect(try await ask("/mcp/hub", method: "GET").status == 405)
    let elsewhere = try await ask("/mcp/github")
    #expect(elsewhere.status == 404)
    #expect(String(decoding: elsewhere.body, as: UTF8.self) == #"{"error":"this gateway serves /mcp/hub alone"}"#)
    await listener.stop()
    await listener.stop()
    await #expect(throws: HTTPClientError.self) { try await ask("/mcp/hub") }
  }
}
