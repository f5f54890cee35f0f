import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite struct SubscriptionTests {
  /// What a subscription tells, one after the other.
  private final class Ear: Sendable {
    private let events: AsyncStream<RedisSubscription.Event>
    private let task: Task<Void, Never>

    init(
      _ url: RedisURL, channel: String, commandTimeout: Duration = .seconds(5),
      backoff: Backoff = Backoff(first: .milliseconds(5), last: .milliseconds(20)), silence: Duration = .seconds(60)
    ) {
      let (events, said) = AsyncStream.makeStream(of: RedisSubscription.Event.self)
      self.events = events
      let subscription = RedisSubscription(
        url, channel: channel, commandTimeout: commandTimeout, backoff: backoff, silence: silence, jitter: { 0 })
      task = Task {
        await subscription.run { said.yield($0) }
        said.finish()
      }
    }
    deinit { task.cancel() }

    /// The first that fits, passing over others.
    func next(_ fits: (RedisSubscription.Event) -> Bool = { _ in true }) async throws -> RedisSubscription.Event {
      for await event in events where fits(event) { return event }
      throw TestServerError("it ended")
    }
    func message() async throws -> String {
      guard case .message(let bytes) = try await next() else { throw TestServerError("no message") }
      return String(decoding: bytes, as: UTF8.self)
    }
    /// Until it says no more.
    func end() async {
      task.cancel()
      await task.value
    }
  }

  @Test func everythingSaidIsHeardInOrder() async throws {
    let server = try await RedisServer()
    let plain = RedisConnection(server.url)
    let ear = Ear(server.url, channel: "news")
    #expect(try await ear.next() == .subscribed)
    #expect(try await plain.command(["PUBLISH", "news", "one\r\ntwo"]) == .integer(1))
    #expect(try await ear.message() == "one\r\ntwo")
    // Others' channels are others'.
    #expect(try await plain.command(["PUBLISH", "other", "x"]) == .integer(0))
    // Many at once come in one read.
    let many = "for i = 1, 1000 do redis.call('PUBLISH', 'news', i) end"
    _ = try await plain.command(["EVAL", RedisArgument(many), 0])
    for number in 1...1000 { #expect(try await ear.message() == "\(number)") }
  }

  @Test func afterARestartItListensAgainAndSaysSo() async throws {
    let server = try await RedisServer()
    let ear = Ear(server.url, channel: "news")
    #expect(try await ear.next() == .subscribed)
    server.kill9()
    guard case .lost(let error) = try await ear.next() else { throw TestServerError("nothing was lost") }
    #expect(error.isTransient)
    try await server.start()
    // Tries in between may have failed too.
    #expect(try await ear.next { $0 == .subscribed } == .subscribed)
    #expect(try await RedisConnection(server.url).command(["PUBLISH", "news", "again"]) == .integer(1))
    #expect(try await ear.message() == "again")
  }

  @Test func aConnectionThatIsCutIsNoticedWithoutAWord() async throws {
    let server = try await RedisServer()
    let plain = RedisConnection(server.url)
    let ear = Ear(server.url, channel: "news")
    #expect(try await ear.next() == .subscribed)
    #expect(try await plain.command(["CLIENT", "KILL", "TYPE", "pubsub"]) == .integer(1))
    guard case .lost = try await ear.next() else { throw TestServerError("nothing was lost") }
    #expect(try await ear.next() == .subscribed)
  }

  /// Nothing ends, and nothing comes: as when the peer is gone and something between goes on.
  @Test(.timeLimit(.minutes(1))) func aServerThatIsSilentIsAskedAndFoundDead() async throws {
    let server = try await RedisServer()
    let ear = Ear(server.url, channel: "news", commandTimeout: .milliseconds(500), silence: .milliseconds(50))
    #expect(try await ear.next() == .subscribed)
    let pid = server.pid
    #expect(pid > 0 && kill(pid, SIGSTOP) == 0)
    defer { kill(pid, SIGCONT) }
    guard case .lost(let error) = try await ear.next() else { throw TestServerError("nothing was lost") }
    #expect(error.kind == .timedOut, "\(error)")
    #expect(kill(pid, SIGCONT) == 0)
    #expect(try await ear.next { $0 == .subscribed } == .subscribed)
  }

  /// The control: one that answers is kept, and what it answers is nobody's message.
  @Test func aServerThatIsSilentAndThereIsKept() async throws {
    let server = try await RedisServer()
    let plain = RedisConnection(server.url)
    let ear = Ear(server.url, channel: "news", commandTimeout: .seconds(60), silence: .milliseconds(20))
    #expect(try await ear.next() == .subscribed)
    func pings() async throws -> Int {
      let text = try await plain.command(["INFO", "commandstats"]).string ?? ""
      let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_ping:calls=") }
      return line?.split(separator: "=")[1].split(separator: ",").first.flatMap { Int($0) } ?? 0
    }
    let start = try await pings()
    let limit = ContinuousClock.now + .seconds(30)
    while try await pings() < start + 3, ContinuousClock.now < limit {}
    #expect(try await pings() >= start + 3)
    #expect(try await plain.command(["PUBLISH", "news", "heard"]) == .integer(1))
    #expect(try await ear.message() == "heard")
  }

  /// Thrown out each time as soon as it was let in.
  @Test func oneThatIsThrownOutAgainAndAgainWaitsLongerEachTime() async throws {
    let server = try await RedisServer()
    let plain = RedisConnection(server.url)
    let ear = Ear(
      server.url, channel: "news", backoff: Backoff(first: .milliseconds(20), last: .seconds(60)))
    #expect(try await ear.next() == .subscribed)
    let start = ContinuousClock.now
    for _ in 0..<6 {
      #expect(try await plain.command(["CLIENT", "KILL", "TYPE", "pubsub"]) == .integer(1))
      #expect(try await ear.next { $0 == .subscribed } == .subscribed)
    }
    // 20 + 40 + … + 640 ms at the least; six times 20 ms would be all without.
    #expect(start.duration(to: .now) >= .milliseconds(1260))
  }

  @Test func onlyOneThatLastedBeginsAnew() {
    let backoff = Backoff(first: .milliseconds(5), last: .seconds(5))
    #expect(backoff.failures(after: 0, lasted: nil) == 1)
    #expect(backoff.failures(after: 4, lasted: nil) == 5)
    #expect(backoff.failures(after: 4, lasted: .seconds(5)) == 5)
    #expect(backoff.failures(after: 4, lasted: .seconds(6)) == 1)
  }

  @Test func whoMayNotListenIsTold() async throws {
    let server = try await RedisServer()
    let plain = RedisConnection(server.url)
    _ = try await plain.command(["ACL", "SETUSER", "deaf", "on", ">word", "~*", "+@all", "resetchannels"])
    _ = try await plain.command(["ACL", "SETUSER", "hears", "on", ">word", "~*", "+@all", "resetchannels", "&news"])
    var url = server.url
    (url.user, url.password) = ("deaf", "word")
    guard case .lost(let error) = try await Ear(url, channel: "news").next() else {
      throw TestServerError("it was let in")
    }
    #expect(error.kind == .refused(code: "NOPERM"))
    url.user = "hears"
    #expect(try await Ear(url, channel: "news").next() == .subscribed)
  }

  @Test func cancellingEndsItAtOnce() async throws {
    let server = try await RedisServer()
    let ear = Ear(server.url, channel: "news")
    #expect(try await ear.next() == .subscribed)
    let start = ContinuousClock.now
    await ear.end()
    // Far sooner than the minute for which it listens.
    #expect(start.duration(to: .now) < .seconds(20))
    let plain = RedisConnection(server.url)
    while try await plain.command(["PUBLISH", "news", "x"]) != .integer(0) {}
  }
}
