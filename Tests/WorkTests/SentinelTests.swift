import Glibc
import TestSupport
import Testing
import Work

@testable import Redis

/// A primary, its replica and a sentinel, all real; the primary is killed.
@Suite struct SentinelTests {
  struct Ground {
    let primary: RedisServer
    let replica: RedisServer
    let sentinel: RedisServer
    let sentinelPort: Int
    let url: RedisURL

    init(_ more: [String] = []) async throws {
      let ports = try (0..<3).map { _ in try RedisServer.freePort() }
      primary = try await RedisServer([
        "--port", "\(ports[0])", "--appendfsync", "always", "--requirepass", "p", "--masterauth", "p",
      ])
      replica = try await RedisServer([
        "--port", "\(ports[1])", "--replicaof", "127.0.0.1", "\(ports[0])", "--requirepass", "p", "--masterauth", "p",
        "--repl-diskless-sync-delay", "0",
      ])
      sentinelPort = ports[2]
      let connected = try await Self.until { try await Self.ask(ports[0], ["WAIT", 1, 100]).integer == 1 }
      guard connected else { throw TestServerError("the replica did not come") }
      sentinel = try await RedisServer(
        sentinel: [
          "sentinel monitor main 127.0.0.1 \(ports[0]) 1", "sentinel auth-pass main p",
          "sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 3000",
        ] + more, port: ports[2])
      // The first that is asked is gone for good.
      url = try RedisURL("redis-sentinel://:p@127.0.0.1:\(try RedisServer.freePort()),127.0.0.1:\(ports[2])/main")
    }

    /// One command to a port, whoever listens there.
    static func ask(_ port: Int, _ command: [RedisArgument], password: String? = "p") async throws -> RedisValue {
      guard case .connected(var socket) = Socket.connect(.tcp(host: "127.0.0.1", port: port), timeout: .seconds(2))
      else {
        throw TestServerError("nobody listens at \(port)")
      }
      if let password { _ = socket.command(["AUTH", RedisArgument(password)], timeout: .seconds(2)) }
      guard case .value(let value) = socket.command(command, timeout: .seconds(2)) else {
        throw TestServerError("no answer from \(port)")
      }
      return value
    }
    static func until(_ condition: () async throws -> Bool) async throws -> Bool {
      let limit = ContinuousClock.now + .seconds(60)
      while ContinuousClock.now < limit {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(20))
      }
      return false
    }
    /// The sentinel learns of replicas from the primary.
    func knowsTheReplica() async throws -> Bool {
      let port = sentinelPort
      return try await Self.until {
        try await Self.ask(port, ["SENTINEL", "REPLICAS", "main"], password: nil).array?.count == 1
      }
    }
  }

  @Test func theQueueGoesOnAtTheNewPrimary() async throws {
    let ground = try await Ground()
    var options = WorkQueue.Options()
    options.finishPatience = .seconds(40)
    let queue = WorkQueue(ground.url, options: options)
    let plain = RedisConnection(ground.url)
    #expect(try await ground.knowsTheReplica())
    for id in ["x", "y", "z"] {
      _ = try await plain.command([
        "LPUSH", RedisArgument(Pool.notification.list),
        RedisArgument(#"{"agent_id":"\#(id)","activation_id":"\#(id)"}"#),
      ])
    }
    func claim() async throws -> Lease {
      let outcome = try await queue.claim([.notification], runner: "r", runnerCap: 9, globalCap: 9)
      guard case .claimed(let lease) = outcome else { throw TestServerError("claimed nothing: \(outcome)") }
      return lease
    }
    let done = try await claim()
    #expect(try await queue.finish(done, .done))
    let running = try await claim()
    // What was acknowledged is at the replica too.
    #expect(try await plain.command(["WAIT", 1, 5000]).integer == 1)
    let waiting = Task { try await queue.wait(after: .empty, pools: [.exploration], atMost: .seconds(60)) }

    ground.primary.kill9()
    let start = ContinuousClock.now
    let lost = await #expect(throws: RedisError.self) { try await plain.command(["PING"]) }
    #expect(lost?.isTransient == true, "\(lost as Any)")
    // It is patient: it asks until the failover is over.
    #expect(try await queue.finish(running, .done))
    print("a queue operation succeeded \(ContinuousClock.now - start) after the primary was killed")
    #expect(ContinuousClock.now - start < .seconds(30))
    let failed = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(failed?.isTransient == true)
    // Nothing of it is lost or doubled.
    #expect(try await claim().activationID == "z")
    #expect(try await queue.claim([.notification], runner: "r", runnerCap: 9, globalCap: 9) == .empty)
    #expect(try await queue.finish(done, .done))
    #expect(try await queue.status().counts["done"] == 2)
    // The old one comes back and is made a replica; nobody of ours writes there.
    try await ground.primary.start()
    let direct = ground.primary.url.with(password: "p")
    let isReplica = try await Ground.until {
      try await RefusalProbe.failure(direct)?.reason.contains("it is a replica") == true
    }
    #expect(isReplica)
    #expect(try await plain.command(["SET", "k", "v"]) == .status("OK"))
  }

  /// One that was cut off before a failover names a primary that is gone; the next knows better.
  @Test func aSentinelThatNamesADeadPrimaryIsPassedOver() async throws {
    let ports = try (0..<4).map { _ in try RedisServer.freePort() }
    let primary = try await RedisServer(["--port", "\(ports[0])"])
    func sentinel(_ port: Int, naming primary: Int) async throws -> RedisServer {
      try await RedisServer(
        sentinel: [
          "sentinel monitor main 127.0.0.1 \(primary) 1", "sentinel down-after-milliseconds main 600000",
        ], port: port)
    }
    let stale = try await sentinel(ports[1], naming: ports[3])
    let other = try await sentinel(ports[2], naming: ports[0])
    func url(_ sentinels: Int...) throws -> RedisURL {
      try RedisURL("redis-sentinel://\(sentinels.map { "127.0.0.1:\($0)" }.joined(separator: ","))/main")
    }
    // The control: by itself it leads nowhere, and what it names is tried once however often it is named.
    let lost = try #require(try await RefusalProbe.failure(url(ports[1], ports[1])))
    #expect(lost.kind == .unreachable)
    #expect(lost.reason.ranges(of: "the primary at 127.0.0.1:\(ports[3])").count == 1, "\(lost)")
    #expect(try await RefusalProbe.failure(url(ports[1], ports[2])) == nil)
    // Also for a connection that was by the good one, which then goes.
    let redis = RedisConnection(try url(ports[2], ports[1]))
    defer { redis.close() }
    _ = try await redis.command(["PING"])
    other.kill9()
    _ = try await RedisConnection(primary.url).command(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
    let gone = await #expect(throws: RedisError.self) {
      while true { _ = try await redis.command(["PING"]) }
    }
    #expect(gone?.isTransient == true)
    try await other.start()
    var isBack = false
    let limit = ContinuousClock.now + .seconds(20)
    while !isBack, ContinuousClock.now < limit {
      do { isBack = try await redis.command(["PING"]) == .status("PONG") } catch { #expect(error.isTransient) }
    }
    #expect(isBack)
    withExtendedLifetime(stale) {}
  }

  /// What a wrong URL says.
  @Test func sentinelsThatCannotHelpAreNamed() async throws {
    let ground = try await Ground(["requirepass s"])
    let missing = try #require(try await RefusalProbe.failure(ground.url))
    // One of the two sentinels is away, which may pass.
    #expect(missing.isTransient && missing.reason.contains("the sentinels' password is missing"), "\(missing)")
    func url(_ rest: String) throws -> RedisURL {
      try RedisURL("redis-sentinel://:p@127.0.0.1:\(ground.sentinelPort)/\(rest)")
    }
    let wrong = try #require(try await RefusalProbe.failure(url("main?sentinel_password=x")))
    #expect(wrong.kind == .unusable && wrong.reason.contains("the sentinels' user or password"))
    let name = try #require(try await RefusalProbe.failure(url("other?sentinel_password=s")))
    #expect(name.kind == .unusable && name.reason.contains("no primary named 'other'"))
    let port = try #require(
      try await RefusalProbe.failure(
        RedisURL(address: .tcp(host: "127.0.0.1", port: ground.sentinelPort), password: "s")))
    #expect(port.kind == .unusable && port.reason.contains("it is a sentinel: write redis-sentinel://"))
    #expect(try await RefusalProbe.failure(url("main?sentinel_password=s")) == nil)

    // A user of the sentinels' own who may not ask, and then has what the error names.
    func setUser(_ rules: [String]) async throws {
      let command = ["ACL", "SETUSER", "asks"] + rules
      let answer = try await Ground.ask(ground.sentinelPort, command.map { RedisArgument($0) }, password: "s")
      #expect(answer == .status("OK"), "\(answer)")
    }
    try await setUser(["on", ">q", "+@connection"])
    let asks = try url("main?sentinel_user=asks&sentinel_password=q")
    let rules = try #require(try await RefusalProbe.failure(asks))
    #expect(rules.kind == .unusable && rules.reason.contains(RedisURL.neededSentinelRules), "\(rules)")
    try await setUser(["reset", "on", ">q"] + RedisURL.neededSentinelRules.split(separator: " ").map { String($0) })
    #expect(try await RefusalProbe.failure(asks) == nil)
  }
}

enum RefusalProbe {
  static func failure(_ url: RedisURL) async throws -> RedisError? {
    let redis = RedisConnection(url)
    defer { redis.close() }
    do { _ = try await redis.command(["PING"]) } catch { return error }
    return nil
  }
}

extension RedisURL {
  func with(password: String) -> RedisURL {
    var url = self
    url.password = password
    return url
  }
}
