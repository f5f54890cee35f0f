import Addresses
import Testing

@testable import Gateway

private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
private func host(_ text: String) throws -> HostPort { try #require(HostPort(text)) }

@Suite("What a sidecar may reach") struct ProxyPolicyTests {
  private func policy(_ hosts: [String], private blocks: [String] = []) throws -> ProxyPolicy {
    ProxyPolicy(
      hosts: try hosts.map { try #require(HostRule($0)) },
      privateAddresses: try blocks.map { try #require(AddressBlock($0)) })
  }

  @Test func `Only listed hosts, with their ports`() throws {
    let policy = try policy(["api.example.com:443", "*.example.org:80"])
    #expect(policy.refusal(of: try host("api.example.com:443")) == nil)
    #expect(policy.refusal(of: try host("x.example.org:80")) == nil)
    for other in ["api.example.com:80", "example.org:80", "127.0.0.1:443", "evil.com:443"] {
      #expect(policy.refusal(of: try host(other)) == .notListed(try host(other)))
    }
  }

  @Test(
    "no address but public ones",
    arguments: [
      "127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
      "224.0.0.1",
      "198.18.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "fd00::1", "fe80::1", "168.63.129.16", "::ffff:0:1.2.3.4",
    ])
  func addresses(_ text: String) throws {
    let policy = try policy(["*:80"])
    #expect(policy.refusal(of: try address(text), own: []) != nil)
    #expect(policy.refusal(of: try address("93.184.216.34"), own: []) == nil)
  }

  @Test func `Not this host, whatever its addresses are`() throws {
    let policy = try policy(["*:80"])
    let own: Set<IPAddress> = [try address("93.184.216.34")]
    #expect(policy.refusal(of: try address("93.184.216.34"), own: own) == .ownAddress(try address("93.184.216.34")))
    #expect(policy.refusal(of: try address("::ffff:93.184.216.34"), own: own) != nil)
    #expect(policy.refusal(of: try address("93.184.216.35"), own: own) == nil)
  }

  @Test func `Private addresses where the operator lists them, and no others`() throws {
    let policy = try policy(["db.internal:80"], private: ["10.1.0.0/16"])
    #expect(policy.refusal(of: try address("10.1.2.3"), own: []) == nil)
    #expect(policy.refusal(of: try address("::ffff:10.1.2.3"), own: []) == nil)
    #expect(policy.refusal(of: try address("10.2.0.0"), own: []) == .address(try address("10.2.0.0"), .privateNetwork))
  }

  @Test func `Of many addresses those that are permitted`() throws {
    let policy = try policy(["*:80"])
    let both = [try address("127.0.0.1"), try address("8.8.8.8")]
    #expect(policy.permitted(both, own: []) == .success([try address("8.8.8.8")]))
    #expect(policy.permitted([], own: []) == .failure(.unknownName))
    #expect(
      policy.permitted([try address("127.0.0.1")], own: []) == .failure(.address(try address("127.0.0.1"), .loopback)))
  }
}

@Suite("Requests to the proxy") struct ProxyRequestTests {
  private func read(_ text: String) throws -> ProxyRequest { try ProxyRequest(head: Array(text.utf8)) }

  @Test func `CONNECT names host and port`() throws {
    let request = try read("CONNECT api.example.com:443 HTTP/1.1\r\nHost: other\r\n\r\n")
    #expect(request.target.description == "api.example.com:443")
    #expect(request.forwarded == nil)
  }

  @Test func `An http URL is asked for at its host, once`() throws {
    let request = try read(
      "GET http://Example.com/a?b#c HTTP/1.1\r\nHost: evil.com\r\nProxy-Authorization: x\r\nConnection: keep-alive, X-A\r\n"
        + "Accept: */*\r\nContent-Length: 2\r\n\r\n")
    #expect(request.target.description == "example.com:80")
    #expect(
      String(decoding: try #require(request.forwarded), as: UTF8.self)
        == "GET /a?b HTTP/1.1\r\nHost: Example.com\r\nAccept: */*\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
    #expect(try read("GET http://[::1]:8080 HTTP/1.1\r\n\r\n").target.description == "[::1]:8080")
  }

  @Test(
    "what is no such request is refused",
    arguments: [
      "GET / HTTP/1.1\r\n\r\n", "GET https://x/ HTTP/1.1\r\n\r\n", "CONNECT x HTTP/1.1\r\n\r\n",
      "CONNECT user@x:443 HTTP/1.1\r\n\r\n", "CONNECT x:443 HTTP/2\r\n\r\n",
      "GET http://x/ HTTP/1.1\r\n bad: x\r\n\r\n",
      "GET http://x/ HTTP/1.1\nHost: y\r\n\r\n", "GET http://u:p@x/ HTTP/1.1\r\n\r\n",
      "GET  http://x/ HTTP/1.1\r\n\r\n",
      "CONNECT x:0 HTTP/1.1\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n", "\r\n\r\n", "CONNECT x:443\0 HTTP/1.1\r\n\r\n",
    ])
  func refused(_ text: String) { #expect(throws: ProxyRefusal.self) { try read(text) } }

  @Test func `A head ends at its empty line`() {
    #expect(ProxyRequest.end(in: Array("a\r\n\r\nb".utf8)) == 5)
    #expect(ProxyRequest.end(in: Array("a\r\r\n\r\n".utf8)) == 6)
    #expect(ProxyRequest.end(in: Array("a\r\n\r".utf8)) == nil)
  }
}
