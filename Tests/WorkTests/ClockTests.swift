import Redis
import TestSupport
import Testing
import Work

/// A Redis whose host's clock is set forward and back while it runs. Leases and everything else that waits for a time go by that clock.
@Suite(.enabled(if: FakeClock.sharedObject != nil, Comment(rawValue: FakeClock.missing)))
struct ClockTests {
  struct Ground {
    let clock: FakeClock
    let bench: Bench

    init(lease: Duration = .seconds(15)) async throws {
      clock = try FakeClock()
      bench = try await Bench(lease: lease, environment: try clock.environment(usesJemalloc: true))
    }
    /// Sets the clock, and sees that the server goes by it.
    func set(hours: Int) async throws {
      let before = try await seconds()
      try clock.set(seconds: hours * 3600)
      #expect(abs(try await seconds() - before) > 3000)
    }
    func seconds() async throws -> Int {
      try await bench.plain.command(["TIME"]).array?.first?.integer ?? 0
    }
  }

  /// Leases end early: the work runs again, but one answer stands.
  @Test func anHourForwardWorkMayRunAgainAndAnswersStaySingle() async throws {
    let ground = try await Ground()
    let bench = ground.bench
    let leader = bench.leader()
    let fence = try #require(try await leader.campaign())
    for id in ["x", "told"] {
      try await bench.push(#"{"agent_id":"\#(id)","activation_id":"\#(id)","notification_ids":["n-\#(id)"]}"#)
    }
    let first = try await bench.lease()
    let told = try await bench.lease()
    #expect(try await bench.queue.store(OutboxTests.entry(told), lease: told) == .stored)
    #expect(try await bench.queue.recover() == WorkQueue.Recovery(expired: 0, retried: 0, dead: 0))

    try await ground.set(hours: 1)
    #expect(try await bench.queue.recover().expired == 2)
    // What had its answer kept is not run again; the other is, by somebody else.
    let second = try await bench.lease(runner: "r2")
    #expect(second.activationID == "x" && second.attempt == 1)
    #expect(try await bench.claim(runner: "r2") == .empty)
    // Who ran it first can say nothing.
    #expect(try await bench.queue.beat(first) == false)
    #expect(try await bench.queue.store(OutboxTests.entry(first), lease: first) == .stale)
    #expect(try await bench.queue.finish(first, .done) == false)
    #expect(try await bench.queue.step("told", token: told.token, lease: .seconds(15)) == false)
    #expect(try await bench.queue.store(OutboxTests.entry(second), lease: second) == .stored)
    #expect(try await bench.queue.finish(second, .done))
    #expect(try await OutboxTests.claimed(bench).map(\.id) == ["told"])
    #expect(try await bench.queue.endOutbox("told", token: "t", .delivered, [:]) == .delivered)
    // The lock ran out with the rest. What the leader believes by its own clock is refused, and it leads on in a new epoch.
    #expect(leader.fence == fence)
    #expect(
      try await bench.queue.enqueue(LeaderTests.item("y", notifications: ["n-x"]), pool: .notification, fence: fence)
        == .fenced)
    let again = try #require(try await leader.campaign())
    #expect(again.epoch == 2)
    // Nothing is queued a second time.
    #expect(
      try await bench.queue.enqueue(LeaderTests.item("y", notifications: ["n-x"]), pool: .notification, fence: again)
        == .duplicate)
    let counts = try await bench.queue.status().counts
    #expect(counts["done"] == 2 && counts["delivered"] == 2 && counts["dead"] == nil)
  }

  /// Without more, leases of the dead would last an hour, and so would the leader's lock, retries, rests and the outbox's back-off.
  @Test func anHourBackwardNothingWaitsForIt() async throws {
    let ground = try await Ground(lease: .seconds(6))
    let bench = ground.bench
    let ttl = Duration.seconds(1)
    _ = try #require(try await Leader(bench.queue, ttl: ttl, nonce: "dies").campaign())
    for id in ["alive", "dead", "retried", "told"] {
      try await bench.push(#"{"agent_id":"\#(id)","activation_id":"\#(id)"}"#)
    }
    let alive = try await bench.lease(runner: "lives")
    _ = try await bench.lease(runner: "dies")
    let retried = try await bench.lease()
    let told = try await bench.lease()
    #expect(try await bench.queue.finish(retried, .retry(reason: "away", delay: .seconds(5))))
    #expect(try await bench.queue.store(OutboxTests.entry(told), lease: told) == .stored)
    #expect(try await bench.queue.finish(told, .delivering(after: .seconds(5))))
    // As runners and coordinators do every second or two.
    try await bench.queue.recover()

    try await ground.set(hours: -1)
    let start = ContinuousClock.now
    var found = WorkQueue.Recovery(expired: 0, retried: 0, dead: 0)
    while found.expired + found.retried < 2, ContinuousClock.now - start < .seconds(40) {
      try #require(try await bench.queue.beat(alive))
      let recovery = try await bench.queue.recover()
      found.expired += recovery.expired
      found.retried += recovery.retried
      #expect(try await bench.queue.status().leased >= 1)
    }
    #expect((found.expired, found.retried, found.dead) == (1, 1, 0))
    #expect(try await bench.queue.status().counts["clock_set_back"] == 1)
    // Not sooner than they would have been by a clock that is right.
    #expect(ContinuousClock.now - start > .milliseconds(900))
    var due: [String] = []
    while due.isEmpty, ContinuousClock.now - start < .seconds(60) {
      due = try await OutboxTests.claimed(bench).map(\.id)
    }
    #expect(due == ["told"])
    // The pool's and the runner's share of the leases were set back too.
    for part in ["", ":pool:notification", ":runner:lives"] {
      let left = try await bench.plain.command([
        "ZRANGE", RedisArgument("botburrow:leases\(part)"), 0, -1, "WITHSCORES",
      ])
      #expect(left.array?.first?.string == "alive" && left.array?.count == 2)
      let ahead = (left.array?.last?.integer ?? 0) - (try await ground.seconds()) * 1000
      #expect(ahead <= 9000)
    }
    let next = Leader(bench.queue, ttl: ttl, nonce: "next")
    let limit = ContinuousClock.now + .seconds(10)
    while try await next.campaign() == nil, ContinuousClock.now < limit {}
    #expect(next.fence?.epoch == 2)
    for _ in 0..<2 { #expect(try await bench.queue.finish(try await bench.lease(), .done)) }
    #expect(try await bench.queue.finish(alive, .done))
    #expect(try await bench.queue.status().counts["done"] == 4)
  }

  /// Redis counts the time of a blocking command by the wall clock. Set back, it would answer an hour late; we don't wait for that.
  @Test func waitingForWorkEndsByOurOwnClock() async throws {
    let ground = try await Ground()
    let bench = ground.bench
    let waiting = Task {
      try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(2))
    }
    try await bench.blockedClients(1)
    try await ground.set(hours: -1)
    let start = ContinuousClock.now
    #expect(try await waiting.value == false)
    #expect(ContinuousClock.now - start < .seconds(10))
    // And a push wakes whoever waits.
    let again = Task { try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(60)) }
    try await bench.push(#"{"agent_id":"a"}"#)
    #expect(try await again.value)
    #expect(try await bench.lease().item.agentID == "a")
  }

  /// What was renewed after the clock was set back, and before anybody noticed, keeps its time, however long leases are.
  @Test func aLongLeaseThatWasRenewedSinceIsNotCut() async throws {
    let bench = try await Bench(lease: .seconds(300))
    try await bench.push(#"{"agent_id":"a","activation_id":"alive"}"#)
    try await bench.push(#"{"agent_id":"b","activation_id":"gone"}"#)
    let alive = try await bench.lease()
    _ = try await bench.lease()
    try await bench.queue.register(RegistryTests.runner("r"), up: .zero)
    let now = Int(try await bench.queue.runners().now * 1000)
    // As it stands after ten minutes back: noted, leased and registered by the clock of then.
    let back = 600_000
    _ = try await bench.plain.command(["SET", "botburrow:clock", RedisArgument(now + back)])
    _ = try await bench.plain.command(["ZADD", "botburrow:leases", RedisArgument(now + back + 1000), "gone"])
    _ = try await bench.plain.command(["ZADD", "botburrow:runners", RedisArgument(now + back + 10_000), "r"])
    #expect(try await bench.queue.beat(alive))
    try await bench.queue.recover()
    func left(_ key: String, _ member: String) async throws -> Int {
      let score = try await bench.plain.command(["ZSCORE", RedisArgument(key), RedisArgument(member)]).string
      return Int(score.flatMap { Double($0) } ?? 0) - now
    }
    let leases = try await (left("botburrow:leases", "alive"), left("botburrow:leases", "gone"))
    #expect((295_000...330_000).contains(leases.0))
    #expect(leases.1 < 30_000)
    let runner = try await left("botburrow:runners", "r")
    #expect(runner < 40_000)
  }
}
