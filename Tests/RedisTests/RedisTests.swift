import Glibc
import Redis
import Synchronization
import TestSupport
import Testing

@Suite struct RedisConnectionTests {
  @Test func anyBytesGoThereAndBack() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    let bytes = (0...255).map { UInt8($0) } + Array("\r\n$3\r\n".utf8)
    #expect(try await redis.command(["SET", RedisArgument(bytes), RedisArgument(bytes)]) == .status("OK"))
    #expect(try await redis.command(["GET", RedisArgument(bytes)]) == .bytes(bytes))
    #expect(try await redis.command(["GET", ""]) == .null)
    #expect(try await redis.command(["SET", "empty", ""]) == .status("OK"))
    #expect(try await redis.command(["GET", "empty"]) == .bytes([]))
    #expect(try await redis.command(["MGET", "empty", "none"]) == .array([.bytes([]), .null]))
    #expect(try await redis.command(["INCRBY", "n", 41]) == .integer(41))
  }

  @Test func aRefusalCarriesTheServersWords() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    _ = try await redis.command(["SET", "text", "x"])
    let error = await #expect(throws: RedisError.self) { try await redis.command(["LPOP", "text"]) }
    #expect(error?.kind == .refused(code: "WRONGTYPE"))
    #expect(
      error?.description
        == "Redis at \(server.url.endpoint) refused LPOP: WRONGTYPE Operation against a key holding the wrong kind of value"
    )
  }

  @Test func aServerThatIsNotThereIsNamed() async throws {
    let redis = RedisConnection(try RedisURL("unix:///nonexistent/redis"))
    let error = await #expect(throws: RedisError.self) { try await redis.command(["PING"]) }
    #expect(
      error?.description
        == "Redis at /nonexistent/redis can't be reached (No such file or directory): check that it runs and that redis.url is right"
    )
    #expect(error?.isTransient == true)
  }

  @Test func loginAndDatabase() async throws {
    let server = try await RedisServer(["--requirepass", "s3cret"])
    var url = server.url
    url.password = "wrong"
    let refused = await #expect(throws: RedisError.self) { try await RedisConnection(url).command(["PING"]) }
    #expect(refused?.kind == .unusable)
    #expect(refused?.description.contains("WRONGPASS") == true)
    #expect(refused?.description.contains("wrong ") == false)
    url.password = "s3cret"
    url.database = 3
    let redis = RedisConnection(url)
    _ = try await redis.command(["SET", "here", "3"])
    url.database = 0
    #expect(try await RedisConnection(url).command(["GET", "here"]) == .null)
    url.user = "default"
    url.database = 3
    #expect(try await RedisConnection(url).command(["GET", "here"]).string == "3")
  }

  @Test func aConnectionOutlivesItsServer() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    _ = try await redis.command(["SET", "kept", "yes"])
    server.kill9()
    let error = await #expect(throws: RedisError.self) { try await redis.command(["PING"]) }
    #expect(error?.kind == .unreachable)
    try await server.start()
    #expect(try await redis.command(["GET", "kept"]).string == "yes")
  }

  @Test func aScriptRunsByHashAndAfterARestartByText() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    let script = RedisScript(Array("return {KEYS[1], ARGV[1]}".utf8))
    let loaded = try await redis.command(["SCRIPT", "LOAD", RedisArgument(script.source)])
    #expect(loaded.string == script.hash)
    for _ in 0..<2 {
      #expect(
        try await redis.script(script, keys: ["k"], arguments: ["a"]) == .array([.bytes([107]), .bytes([97])]))
      _ = try await redis.command(["SCRIPT", "FLUSH"])
    }
  }

  @Test func cancellingEndsABlockingCommandAtOnce() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    let other = RedisConnection(server.url)
    let waiting = Task { try await redis.blockingCommand(["BRPOP", "nothing", "60"], wait: .seconds(60)) }
    while try await other.command(["INFO", "clients"]).string?.contains("blocked_clients:1") != true {}
    let start = ContinuousClock.now
    waiting.cancel()
    let error = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(error?.kind == .cancelled)
    // Far sooner than the minute that it would have waited.
    #expect(ContinuousClock.now - start < .seconds(20))
    // The connection is of use again, and the server has forgotten the waiter.
    #expect(try await redis.command(["PING"]) == .status("PONG"))
    #expect(try await other.command(["LPUSH", "nothing", "x"]) == .integer(1))
    #expect(try await other.command(["LLEN", "nothing"]) == .integer(1))
  }

  @Test func aStoppedServerTimesOut() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url, commandTimeout: .milliseconds(200))
    _ = try await redis.command(["PING"])
    kill(server.pid, SIGSTOP)
    let error = await #expect(throws: RedisError.self) { try await redis.command(["PING"]) }
    kill(server.pid, SIGCONT)
    #expect(error?.kind == .timedOut)
    #expect(
      error?.description
        == "Redis at \(server.url.endpoint) did not answer PING within 0.2 seconds: check its load and the network")
    #expect(try await redis.command(["ECHO", "mine"]).string == "mine")
  }

  @Test func closedMeansClosed() async throws {
    let server = try await RedisServer()
    let redis = RedisConnection(server.url)
    let other = RedisConnection(server.url)
    let waiting = Task { try await redis.blockingCommand(["BRPOP", "nothing", "60"], wait: .seconds(60)) }
    while try await other.command(["INFO", "clients"]).string?.contains("blocked_clients:1") != true {}
    redis.close()
    let error = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(error?.kind == .closed)
    let later = await #expect(throws: RedisError.self) { try await redis.command(["PING"]) }
    #expect(later?.kind == .closed)
  }

  @Test func backoffDoublesToItsLimitAndLosesHalfAtMost() {
    let backoff = Backoff(first: .milliseconds(50), last: .seconds(1))
    #expect(backoff.delay(failures: 0, jitter: 0) == .zero)
    #expect(backoff.delay(failures: 1, jitter: 0) == .milliseconds(50))
    #expect(backoff.delay(failures: 3, jitter: 0) == .milliseconds(200))
    #expect(backoff.delay(failures: 3, jitter: 1) == .milliseconds(100))
    #expect(backoff.delay(failures: 99, jitter: 0) == .seconds(1))
  }
}
