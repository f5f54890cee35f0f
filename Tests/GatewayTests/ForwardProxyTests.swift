import Addresses
import Glibc
import HTTPClient
import HTTPServer
import Linux
import Synchronization
import Testing

@testable import Gateway

/// Everything of a proxy and the hosts behind it, on loopback, which the operator has listed where a test says so.
private final class Ground: Sendable {
  let target: HTTPServer
  let proxy: ForwardProxy
  let port: Int

  /// What is kept of what happens while the ground is still being made.
  private final class Kept: Sendable {
    let records = Mutex<[ProxyRecord]>([])
    let reached = Mutex<[String]>([])
    let answers: Mutex<[[String]]>
    init(_ answers: [[String]]) { self.answers = Mutex(answers) }
  }
  private let kept: Kept
  var records: [ProxyRecord] { kept.records.withLock { $0 } }
  var reached: [String] { kept.reached.withLock { $0 } }

  /// - Parameter resolves: what each look-up answers, in turn; the last one from then on.
  init(
    hosts: [String]? = nil, private blocks: [String] = ["127.0.0.1"], resolves: [[String]] = [["127.0.0.1"]],
    change: (inout ForwardProxy.Options) -> Void = { _ in }
  ) async throws {
    let kept = Kept(resolves)
    self.kept = kept
    target = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { request in
      kept.reached.withLock { $0.append("\(request.method) \(request.path) \(request.header("host") ?? "")") }
      return ServerResponse.text(200, "reached \(String(decoding: request.body, as: UTF8.self))")
    }
    let rules = hosts ?? ["allowed.test:\(target.port)"]
    var options = ForwardProxy.Options()
    options.resolver = Resolver { _, tell in
      let texts = kept.answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
      tell(texts.compactMap { IPAddress($0) })
    }
    options.onRecord = { record in kept.records.withLock { $0.append(record) } }
    change(&options)
    let policy = ProxyPolicy(
      hosts: rules.compactMap { HostRule($0) },
      privateAddresses: blocks.compactMap { AddressBlock($0) })
    (proxy, port) = try await ForwardProxy.start(at: .tcp(host: "127.0.0.1", port: 0), policy: policy, options: options)
  }

  func get(_ url: String) async throws -> HTTPResponse {
    try await HTTPClient(proxy: "http://127.0.0.1:\(port)").send(HTTPRequest(url: url, timeout: .seconds(10)))
  }
  func stop() async {
    await proxy.stop()
    await target.stop(grace: .zero)
  }
  var results: [String] { records.map(\.result) }
}

@Suite("The way out of a sidecar") struct ForwardProxyTests {
  @Test func `A listed host is reached, and is counted`() async throws {
    let ground = try await Ground()
    let answer = try await ground.get("http://allowed.test:\(ground.target.port)/page")
    #expect(answer.status == 200)
    #expect(String(decoding: answer.body, as: UTF8.self) == "reached ")
    #expect(ground.reached == ["GET /page allowed.test:\(ground.target.port)"])
    try await eventually { ground.results == ["connected"] }
    let record = try #require(ground.records.first)
    #expect(record.address?.description == "127.0.0.1")
    #expect(record.received > 0 && record.sent > 0)
    await ground.stop()
  }

  @Test func `Through CONNECT bytes go both ways`() async throws {
    let ground = try await Ground()
    let client = try RawStream(port: ground.port)
    await client.write("CONNECT allowed.test:\(ground.target.port) HTTP/1.1\r\n\r\n")
    #expect(await client.read(until: "\r\n\r\n") == "HTTP/1.1 200 Connection established\r\n\r\n")
    let body = String(repeating: "x", count: 300_000)
    await client.write(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    #expect(await client.readAll().hasSuffix("reached \(body)"))
    await ground.stop()
  }

  @Test func `What isn't listed isn't even looked up`() async throws {
    let looked = Mutex(0)
    let ground = try await Ground {
      $0.resolver = Resolver { _, tell in
        looked.withLock { $0 += 1 }
        tell([])
      }
    }
    let answer = try await ground.get("http://other.test:\(ground.target.port)/")
    #expect(answer.status == 403)
    #expect(
      String(decoding: answer.body, as: UTF8.self).contains("other.test:\(ground.target.port) is not among the hosts"))
    #expect(looked.withLock { $0 } == 0)
    #expect(ground.results == ["not_listed"])
    await ground.stop()
  }

  @Test(
    "a listed name that stands for an address inside is refused",
    arguments: [
      "127.0.0.1", "::1", "10.0.0.5", "169.254.169.254", "::ffff:127.0.0.1", "100.64.1.1", "198.18.0.1", "0.0.0.0",
    ])
  func inside(_ address: String) async throws {
    let ground = try await Ground(private: [], resolves: [[address]])
    let answer = try await ground.get("http://allowed.test:\(ground.target.port)/")
    #expect(answer.status == 403)
    #expect(ground.reached == [])
    #expect(ground.results == ["address"] || ground.results == ["own_address"])
    await ground.stop()
  }

  @Test func `A name that stands for something else on the second look-up is looked up once for each connection`()
    async throws
  {
    // The control: the first answer is permitted and reached.
    let ground = try await Ground(resolves: [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]])
    let url = "http://allowed.test:\(ground.target.port)/"
    #expect(try await ground.get(url).status == 200)
    #expect(try await ground.get(url).status == 403)
    #expect(try await ground.get(url).status == 200)
    #expect(ground.reached.count == 2)
    await ground.stop()
  }

  @Test func `This host's own addresses are refused although they are public`() async throws {
    let ground = try await Ground(private: [], resolves: [["93.184.216.34"]]) { options in
      options.ownAddresses = { Set(["93.184.216.34"].compactMap { IPAddress($0) }) }
    }
    #expect(try await ground.get("http://allowed.test:\(ground.target.port)/").status == 403)
    #expect(ground.results == ["own_address"])
    #expect(ownAddresses().contains { AddressClass($0) == .loopback })
    await ground.stop()
  }

  @Test func `Spellings of addresses that only old resolvers know are looked at as what they are`() async throws {
    let ground = try await Ground(hosts: ["*:*"], private: []) { $0.resolver = .system }
    for host in ["127.1", "0x7f.1", "2130706433", "localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
      let client = try RawStream(port: ground.port)
      await client.write("CONNECT \(host):\(ground.target.port) HTTP/1.1\r\n\r\n")
      #expect(await client.readAll().hasPrefix("HTTP/1.1 40"), "\(host)")
    }
    #expect(ground.reached == [])
    await ground.stop()
  }

  @Test func `Limits: connections at once and in all, bytes, time`() async throws {
    let ground = try await Ground { $0.connectionLimit = 2 }
    let first = try RawStream(port: ground.port)
    let second = try RawStream(port: ground.port)
    try await eventually { ground.proxy.openConnections == 2 }
    let third = try RawStream(port: ground.port)
    #expect(await third.readAll() == "")
    withExtendedLifetime((first, second)) {}
    await ground.stop()

    // Who says nothing is hung up on.
    let impatient = try await Ground { $0.headTimeout = .milliseconds(200) }
    #expect(try await RawStream(port: impatient.port).readAll() == "")
    await impatient.stop()

    let few = try await Ground { $0.totalLimit = 1 }
    let url = "http://allowed.test:\(few.target.port)/"
    #expect(try await few.get(url).status == 200)
    #expect(try await few.get(url).status == 429)
    await few.stop()

    let little = try await Ground { $0.byteLimit = 20_000 }
    let client = try RawStream(port: little.port)
    await client.write("CONNECT allowed.test:\(little.target.port) HTTP/1.1\r\n\r\n")
    _ = await client.read(until: "\r\n\r\n")
    await client.write(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 100_000))
    #expect(await client.readAll() == "")
    #expect(little.reached == [])
    await little.stop()
  }

  @Test func `When it stops every connection is cut`() async throws {
    let ground = try await Ground()
    let client = try RawStream(port: ground.port)
    await client.write("CONNECT allowed.test:\(ground.target.port) HTTP/1.1\r\n\r\n")
    _ = await client.read(until: "\r\n\r\n")
    await ground.proxy.stop()
    #expect(await client.readAll() == "")
    #expect(throws: (any Error).self) { try RawStream(port: ground.port) }
    await ground.stop()
  }
}

/// A TCP connection without any manners. It waits on threads of its own: on Swift's few it would keep the servers from
/// answering.
final class RawStream: Sendable {
  private let descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let failed = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    if failed != 0 { throw NotInTime() }
  }
  deinit { close(descriptor) }

  func write(_ text: String) async { await onThread { $0.writeNow(text) } }
  func read(until end: String) async -> String { await onThread { $0.readNow(until: end) } }
  func readAll() async -> String { await onThread { $0.readAllNow() } }

  private func onThread<Value: Sendable>(_ body: @escaping @Sendable (RawStream) -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      Thread.detach { continuation.resume(returning: body(self)) }
    }
  }

  private func writeNow(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      sent += count
    }
  }

  private func readNow(until end: String) -> String {
    var bytes: [UInt8] = []
    var byte: UInt8 = 0
    while !bytes.reversed().starts(with: Array(end.utf8).reversed()), recv(descriptor, &byte, 1, 0) == 1 {
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func readAllNow() -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }
}
