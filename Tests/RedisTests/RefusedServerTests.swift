import Glibc
import Redis
import TestSupport
import Testing

/// Real servers that can't be worked with, each with what changes it.
@Suite struct RefusedServerTests {
  static func failure(_ url: RedisURL, _ command: [RedisArgument] = ["PING"]) async throws -> RedisError? {
    let redis = RedisConnection(url)
    defer { redis.close() }
    do { _ = try await redis.command(command) } catch { return error }
    return nil
  }

  @Test func aPasswordThatIsMissing() async throws {
    let server = try await RedisServer(["--requirepass", "s3cret"])
    var url = server.url
    let error = try #require(try await Self.failure(url))
    #expect(error.kind == .unusable && !error.isTransient)
    #expect(error.description.contains("redis://:password@host"))
    url.password = "s3cret"
    #expect(try await Self.failure(url) == nil)
  }

  @Test func aDatabaseThatIsNotThere() async throws {
    let server = try await RedisServer(["--databases", "4"])
    var url = server.url
    url.database = 4
    let error = try #require(try await Self.failure(url))
    #expect(error.kind == .unusable && error.reason.contains("raise 'databases'"))
    url.database = 3
    #expect(try await Self.failure(url) == nil)
  }

  @Test func aNodeOfACluster() async throws {
    let server = try await RedisServer(["--cluster-enabled", "yes"])
    let error = try #require(try await Self.failure(server.url))
    #expect(error.kind == .unusable && error.reason.contains("Cluster is not supported"))
  }

  @Test func aReplicaUntilItIsPromoted() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    let admin = RedisConnection(server.url)
    _ = try await admin.command(["SET", "k", "v"])
    _ = try await redis.command(["PING"])
    // Nobody is there, which is all the same for this.
    _ = try await admin.command(["REPLICAOF", "127.0.0.1", "1"])
    // The first finds out; the next asks anew, and is told what it met. Both may be tried again.
    let first = await #expect(throws: RedisError.self) { try await redis.command(["SET", "k", "w"]) }
    #expect(first?.kind == .refused(code: "READONLY") && first?.isTransient == true)
    let second = await #expect(throws: RedisError.self) { try await redis.command(["SET", "k", "w"]) }
    #expect(second?.kind == .unreachable && second?.isTransient == true)
    #expect(second?.reason.contains("it is a replica, which takes no writes") == true)
    _ = try await admin.command(["REPLICAOF", "NO", "ONE"])
    #expect(try await redis.command(["SET", "k", "w"]) == .status("OK"))
  }

  @Test func oneThatTakesNoMoreClients() async throws {
    let server = try await RedisServer()
    let first = RedisConnection(server.url)
    _ = try await first.command(["CONFIG", "SET", "maxclients", "1"])
    let error = try #require(try await Self.failure(server.url))
    #expect(error.isTransient)
    _ = try await first.command(["CONFIG", "SET", "maxclients", "10"])
    #expect(try await Self.failure(server.url) == nil)
  }

  @Test(.enabled(if: RedisServer.program == "redis-server", "the valkey-server of the tests is built without TLS"))
  func aPortThatSpeaksTLS() async throws {
    let port = try RedisServer.freePort()
    let certificate = try Certificate()
    let server = try await RedisServer([
      "--tls-port", "\(port)", "--tls-cert-file", certificate.certificate, "--tls-key-file", certificate.key,
      "--tls-ca-cert-file", certificate.certificate, "--tls-auth-clients", "no",
    ])
    let error = try #require(try await Self.failure(RedisURL(address: .tcp(host: "127.0.0.1", port: port))))
    #expect(error.reason.contains("its port may speak TLS"), "\(error)")
    #expect(try await Self.failure(server.url) == nil)
  }

  /// Protected mode is about clients that aren't local: one who comes by an address of the host's own isn't.
  @Test(.enabled(if: Self.ownAddress != nil, "this host has no IPv4 address but loopback"))
  func oneInProtectedMode() async throws {
    let address = try #require(Self.ownAddress)
    let port = try RedisServer.freePort()
    let server = try await RedisServer(["--port", "\(port)", "--bind", address])
    let url = RedisURL(address: .tcp(host: address, port: port))
    let error = try #require(try await Self.failure(url))
    #expect(error.kind == .unusable && error.reason.contains("protected mode"), "\(error)")
    let local = RedisConnection(server.url)
    _ = try await local.command(["CONFIG", "SET", "protected-mode", "no"])
    #expect(try await Self.failure(url) == nil)
  }

  static var ownAddress: String? {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return nil }
    defer { freeifaddrs(first) }
    for entry in sequence(first: first, next: { $0?.pointee.ifa_next }) {
      guard let entry = entry?.pointee, let address = entry.ifa_addr, address.pointee.sa_family == AF_INET,
        entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0
      else { continue }
      var text = [CChar](repeating: 0, count: 64)
      let size = socklen_t(MemoryLayout<sockaddr_in>.size)
      guard getnameinfo(address, size, &text, 64, nil, 0, NI_NUMERICHOST) == 0 else { continue }
      return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return nil
  }

  /// A user with the rules that errors and documentation name can do what is needed; with one less it is told which.
  @Test func theRulesThatAUserNeeds() async throws {
    let server = try await RedisServer()
    let admin = RedisConnection(server.url)
    let rules = RedisURL.neededRules.split(separator: " ").map { RedisArgument(String($0)) }
    _ = try await admin.command(["ACL", "SETUSER", "burrow", "on", ">p"] + rules)
    var url = server.url
    (url.user, url.password) = ("burrow", "p")
    let script = RedisScript(
      Array("#!lua\nredis.call('LPUSH','runner:notification:work','x') return redis.call('TIME')[1]".utf8))
    let redis = RedisConnection(url)
    #expect(try await redis.script(script).integer ?? 0 > 1_700_000_000)
    #expect(try await redis.command(["BRPOP", "runner:notification:work", "1"]).array?.count == 2)
    _ = try await admin.command(["ACL", "SETUSER", "burrow", "resetkeys", "~other:*"])
    let keys = await #expect(throws: RedisError.self) { try await redis.script(script) }
    #expect(keys?.description.contains("its ACL user needs ~runner:*") == true && keys?.isTransient == false)
    _ = try await admin.command(["ACL", "SETUSER", "burrow", "-@scripting"])
    let scripts = await #expect(throws: RedisError.self) { try await redis.script(script) }
    #expect(scripts?.kind == .refused(code: "NOPERM"))
    #expect(scripts?.description.contains("+@scripting") == true)
  }
}

/// A certificate for a test's server, signed by itself.
private final class Certificate: Sendable {
  let directory: String
  var certificate: String { directory + "/certificate" }
  var key: String { directory + "/key" }

  init() throws {
    var template = Array("/tmp/botburrow-tls-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestServerError("mkdtemp: errno \(errno)") }
    directory = String(cString: made)
    try Self.run([
      "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
      "/CN=test", "-keyout", key, "-out", certificate,
    ])
  }
  deinit { try? Self.run(["/bin/rm", "-rf", directory]) }

  private static func run(_ words: [String]) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    let pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid = pid_t()
    guard posix_spawn(&pid, words[0], &actions, nil, pointers, environ) == 0 else {
      throw TestServerError("\(words[0]) did not start")
    }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { throw TestServerError("\(words[0]): status \(status)") }
  }
}
