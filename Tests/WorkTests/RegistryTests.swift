import Redis
import TestSupport
import Testing
import Work

@Suite("The list of runners") struct RegistryTests {
  static func runner(_ id: String, _ pool: Pool = .notification, host: String = "h1") -> RunnerIdentity {
    RunnerIdentity(id: id, pool: pool, slots: 4, host: host, pid: 7, version: "1.2.3")
  }
  private func hasty(_ bench: Bench, _ expiry: Duration) -> WorkQueue {
    var options = WorkQueue.Options()
    options.runnerExpiry = expiry
    return WorkQueue(bench.server.url, options: options)
  }

  @Test("a runner tells of itself; what it runs is counted by its leases")
  func told() async throws {
    let bench = try await Bench()
    #expect(try await bench.queue.runners().runners.isEmpty)
    #expect(try await bench.queue.register(Self.runner("r1"), up: .seconds(60)) == .init(isNew: true, runners: 1))
    let second = try await bench.queue.register(Self.runner("r2", .hybrid), up: .zero, isStopping: true)
    #expect(second == .init(isNew: true, runners: 2))
    #expect(try await bench.queue.register(Self.runner("r1"), up: .seconds(61)) == .init(isNew: false, runners: 2))
    try await bench.push(#"{"agent_id":"a"}"#)
    let lease = try await bench.lease(runner: "r1")

    let list = try await bench.queue.runners()
    #expect(list.runners.map(\.identity) == [Self.runner("r2", .hybrid), Self.runner("r1")])
    #expect(list.runners.map(\.state) == [.stopping, .serving])
    #expect(list.runners.map(\.running) == [0, 1])
    let first = try #require(list.runners.last)
    #expect((59...90).contains(list.now - first.started))
    #expect((0...20).contains(list.now - first.lastSeen))
    try await bench.queue.finish(lease, .done)
    #expect(try await bench.queue.runners().runners.map(\.running) == [0, 0])
  }

  @Test("one that an operator paused shows as that, until it is resumed or ends")
  func paused() async throws {
    let bench = try await Bench()
    for id in ["r1", "r2"] { try await bench.queue.register(Self.runner(id), up: .zero) }
    try await bench.queue.pause(.runners(["r1"]))
    #expect(try await bench.queue.runners().runners.map(\.state) == [.paused, .serving])
    try await bench.queue.register(Self.runner("r1"), up: .zero, isStopping: true)
    #expect(try await bench.queue.runners().runners.map(\.state) == [.stopping, .serving])
    try await bench.queue.register(Self.runner("r1"), up: .zero)
    try await bench.queue.resume(.runners(["r1"]))
    #expect(try await bench.queue.runners().runners.map(\.state) == [.serving, .serving])
  }

  @Test("when it started is told once, however the clocks round")
  func steady() async throws {
    let bench = try await Bench()
    try await bench.queue.register(Self.runner("r1"), up: .milliseconds(60_000))
    let started = try await bench.queue.runners().runners.first?.started
    // What had no more than a moment left is kept for as long as before, once a minute.
    let key: RedisArgument = "botburrow:runner:r1"
    let seen = Int(try await bench.queue.runners().now * 1000) - 60_000
    _ = try await bench.plain.command(["HSET", key, "seen", RedisArgument(seen)])
    _ = try await bench.plain.command(["PEXPIRE", key, 30_000])
    try await bench.queue.register(Self.runner("r1"), up: .milliseconds(60_500))
    #expect(try await bench.plain.command(["PTTL", key]).integer ?? 0 > 600_000)
    #expect(try await bench.queue.runners().runners.first?.started == started)
    // Another process under the same id, as in a container.
    try await bench.queue.register(Self.runner("r1"), up: .zero)
    #expect(try await bench.queue.runners().runners.first?.started ?? 0 > (started ?? 0) + 50)
  }

  @Test("one that says goodbye is off the list at once; one that says nothing any more is lost, and comes back")
  func goodbye() async throws {
    let bench = try await Bench()
    let hasty = hasty(bench, .milliseconds(50))
    for id in ["polite", "killed"] { try await hasty.register(Self.runner(id), up: .zero) }
    try await hasty.unregister("polite")
    #expect(try await bench.queue.runners().runners.map(\.identity.id) == ["killed"])
    let limit = ContinuousClock.now + .seconds(10)
    while try await bench.queue.runners().runners.first?.state != .lost, ContinuousClock.now < limit {}
    #expect(try await bench.queue.runners().runners.first?.state == .lost)
    // Who is lost isn't there.
    #expect(try await bench.queue.register(Self.runner("killed"), up: .zero) == .init(isNew: true, runners: 1))
    #expect(try await bench.queue.runners().runners.first?.state == .serving)
  }

  @Test("a lost one is forgotten after ten minutes, and so is all that was kept of it")
  func forgotten() async throws {
    let bench = try await Bench()
    for id in ["lately", "long ago"] { try await bench.queue.register(Self.runner(id), up: .zero) }
    let now = Int(try await bench.queue.runners().now * 1000)
    for (id, minutes) in [("lately", 9), ("long ago", 11)] {
      _ = try await bench.plain.command([
        "ZADD", "botburrow:runners", RedisArgument(now - minutes * 60_000), RedisArgument(id),
      ])
    }
    #expect(try await bench.queue.runners().runners.map(\.identity.id) == ["lately"])
    try await bench.queue.register(Self.runner("new"), up: .zero)
    let keys = Set(try await bench.plain.command(["KEYS", "*"]).array?.compactMap(\.string) ?? [])
    #expect(keys == ["botburrow:runners", "botburrow:runner:lately", "botburrow:runner:new"])
    // Where no runner is left to tidy up, Redis does.
    for key in keys {
      let left = try await bench.plain.command(["PTTL", RedisArgument(key)]).integer ?? 0
      #expect((600_000...680_000).contains(left), "\(key)")
    }
  }
}
