import Redis
import Synchronization
import TestSupport
import Testing

@Suite struct SubscriptionTests {
  /// What a subscription tells, one after the other.
  private final class Ear: Sendable {
    private let events: AsyncStream<RedisSubscription.Event>
    private let task: Task<Void, Never>

    init(_ url: RedisURL, channel: String) {
      let (events, said) = AsyncStream.makeStream(of: RedisSubscription.Event.self)
      self.events = events
      let backoff = Backoff(first: .milliseconds(5), last: .milliseconds(20))
      let subscription = RedisSubscription(url, channel: channel, backoff: backoff)
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
