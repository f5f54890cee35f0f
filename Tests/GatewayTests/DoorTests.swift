import HTTPServer
import JSON
import Testing

@testable import Gateway

@Suite("The MCP server's door: origin, token, method")
struct DoorTests {
  static let ping = #"{"jsonrpc":"2.0","id":7,"method":"ping"}"#

  @Test("the activation's token opens it, in any case of the scheme")
  func token() async {
    let caller = Caller()
    for scheme in ["Bearer", "bearer", "BEARER"] {
      let answer = await caller.server().handle(
        MCPRequest(headers: [("Authorization", "\(scheme) \(Caller.token)")], body: Array(Self.ping.utf8)))
      #expect(answer.status == 200)
      #expect(answer.body == ["jsonrpc": "2.0", "id": 7, "result": [:]])
    }
  }

  @Test(
    "anything else is 401",
    arguments: [nil, "Bearer", "Bearer ", "Bearer wrong", "Basic \(Caller.token)", Caller.token])
  func noToken(_ value: String?) async {
    let headers = value.map { [(name: "Authorization", value: $0)] } ?? []
    let answer = await Caller().server().handle(MCPRequest(headers: headers, body: Array(Self.ping.utf8)))
    #expect(answer.status == 401)
    #expect(answer.headers.contains { $0.name == "WWW-Authenticate" && $0.value == "Bearer" })
    #expect(answer.body == ["error": "this server wants the activation's token as 'Authorization: Bearer …'"])
  }

  @Test("an activation without a token is open to nobody")
  func emptyToken() async {
    let caller = Caller()
    let session = GatewaySession(activationID: "a", agentID: "b", token: "", grants: [])
    let server = MCPServer(session: session, hub: caller.hub, ledger: ActivationLedger(), audit: Audit { _ in })
    let answer = await server.handle(MCPRequest(headers: [("Authorization", "Bearer ")], body: Array(Self.ping.utf8)))
    #expect(answer.status == 401)
  }

  @Test("a foreign origin is 403", arguments: ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
  func foreignOrigin(_ origin: String) async {
    let answer = await Caller().send(Self.ping, headers: [("Origin", origin)])
    #expect(answer.status == 403)
    #expect(answer.body == ["error": .string("the origin \(origin) may not call this server")])
  }

  @Test("its own origins pass", arguments: ["http://198.18.0.1:8001", "http://198.18.0.1", "http://localhost:3000"])
  func ownOrigin(_ origin: String) async {
    #expect(await Caller().send(Self.ping, headers: [("Origin", origin)]).status == 200)
  }

  @Test("there is no stream and no session", arguments: ["GET", "DELETE", "PUT"])
  func method(_ method: String) async {
    let answer = await Caller().send("", method: method)
    #expect(answer.status == 405)
    #expect(answer.headers.contains { $0.name == "Allow" && $0.value == "POST" })
  }

  @Test("tokens are compared whole")
  func comparison() {
    #expect(equalInConstantTime("abc", "abc"))
    #expect(!equalInConstantTime("abc", "abd"))
    #expect(!equalInConstantTime("abc", "ab"))
    #expect(!equalInConstantTime("", "a"))
  }
}
