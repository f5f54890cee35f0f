import Coordinator
import Redis
import Testing
import Work

@Suite struct MonitorTests {
  static func runner(_ id: String, _ pool: Pool, _ state: RunnerState = .serving, slots: Int = 4) -> RunnerEntry {
    RunnerEntry(
      identity: RunnerIdentity(id: id, pool: pool, slots: slots, host: "h", pid: 1, version: "1"), state: state,
      running: 0, started: 0, lastSeen: 70)
  }
  /// At 100, claimed at 10, in its step since 20.
  static func activation(_ id: String = "x", _ change: (inout RunningActivation) -> Void = { _ in })
    -> RunningActivation
  {
    var made = RunningActivation(
      id: id, agentID: "a", task: .notification, pool: .notification, runner: "r", claimed: 10, leaseEnd: 110)
    (made.step, made.stepSince, made.lastActive) = (.run, 20, 95)
    change(&made)
    return made
  }
  private func found(
    _ runners: [RunnerEntry] = [], _ activations: [RunningActivation] = [], waiting: [Pool: Int] = [:],
    stuckAfter: Double = 60
  ) -> [String] {
    alerts(
      Fleet(now: 100, runners: runners, activations: activations, waiting: waiting), stuckAfter: stuckAfter
    ).map(\.key)
  }

  @Test func nothingIsWrongWithASystemAtWork() {
    #expect(
      found(
        [Self.runner("r", .notification), Self.runner("s", .exploration, .stopping)],
        [Self.activation { $0.timeLimit = 300 }], waiting: [.notification: 3, .exploration: 0]) == [])
  }

  @Test func aRunnerThatWentWithoutAGoodbyeIsLost() {
    #expect(
      found([Self.runner("r", .notification, .lost), Self.runner("s", .hybrid, .stopping)]) == ["lost:r"])
  }

  @Test func nothingHappensInAStuckOne() {
    #expect(found([], [Self.activation { $0.lastActive = 41 }]) == [])
    #expect(found([], [Self.activation { $0.lastActive = 40 }]) == ["stuck:x"])
    #expect(found([], [Self.activation { $0.lastActive = 40 }], stuckAfter: 61) == [])
    // Of which nothing was told since its claim.
    let silent = RunningActivation(
      id: "y", agentID: "a", task: .notification, pool: nil, runner: "r", claimed: 30, leaseEnd: 101)
    #expect(found([], [silent]) == ["stuck:y"])
    // Its runner is gone: it is about to be put back, and is nobody's to look at.
    #expect(found([], [Self.activation { ($0.lastActive, $0.leaseEnd) = (0, 99) }]) == [])
  }

  @Test func aSlowOneHasUsedMostOfItsTime() {
    // It has run for 80 s.
    #expect(found([], [Self.activation { $0.timeLimit = 101 }]) == [])
    #expect(found([], [Self.activation { $0.timeLimit = 100 }]) == ["slow:x"])
    #expect(found([], [Self.activation { $0.timeLimit = 30 }]) == ["slow:x"])
    #expect(found([], [Self.activation { $0.timeLimit = nil }]) == [])
    // The limit is its program's.
    #expect(found([], [Self.activation { ($0.timeLimit, $0.step) = (30, .respond) }]) == [])
    // Both may be so.
    #expect(found([], [Self.activation { ($0.timeLimit, $0.lastActive) = (90, 20) }]) == ["stuck:x", "slow:x"])
  }

  @Test func workThatWaitsNeedsARunnerOfItsListOrAHybridOne() {
    let waiting: [Pool: Int] = [.notification: 2, .exploration: 1, .hybrid: 1]
    #expect(found([], waiting: waiting) == ["unserved:notification", "unserved:exploration", "unserved:hybrid"])
    #expect(
      found([Self.runner("r", .notification)], waiting: waiting) == ["unserved:exploration", "unserved:hybrid"])
    #expect(found([Self.runner("r", .hybrid)], waiting: waiting) == [])
    // One that takes no more work serves nothing.
    #expect(found([Self.runner("r", .hybrid, .stopping)], waiting: [.hybrid: 1]) == ["unserved:hybrid"])
    #expect(found([], waiting: [.hybrid: 0]) == [])
  }

  @Test func anAlertSaysWhatIsKnown() throws {
    let alert = try #require(
      alerts(
        Fleet(
          now: 100, runners: [], activations: [Self.activation { ($0.timeLimit, $0.tokens) = (90, 12) }], waiting: [:]),
        stuckAfter: 60
      ).first)
    #expect(
      alert.details == [
        "agent_id": "a", "runner": "r", "step": "run", "seconds": "80", "tokens": "12", "time_limit": "90",
      ])
  }

  @Test func slotsAreThoseOfRunnersThatTakeWork() {
    #expect(slots([]) as [Pool: Int]? == nil)
    #expect(slots([Self.runner("r", .hybrid, .lost), Self.runner("s", .hybrid, .stopping)]) == nil)
    #expect(
      slots([
        Self.runner("r", .hybrid, slots: 3), Self.runner("s", .hybrid, slots: 2),
        Self.runner("t", .notification, slots: 10), Self.runner("u", .notification, .stopping, slots: 10),
      ]) == [.notification: 10, .exploration: 0, .hybrid: 5])
  }
}

/// The monitor over a real Redis.
@Suite struct WatchTests {
  @Test func whatIsWrongIsToldOnceByTwoCoordinators() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    let lease: Lease
    do {
      let plain = RedisConnection(bench.server.url)
      defer { plain.close() }
      _ = try await plain.command(["LPUSH", "runner:notification:work", #"{"agent_id":"x","activation_id":"i"}"#])
      lease = try await bench.lease()
    }
    var state = LiveState(step: .run, inStep: .seconds(280), idle: .seconds(200))
    state.timeLimit = .seconds(300)
    #expect(try await bench.queue.beat(lease, state))
    try await bench.queue.register(MonitorTests.runner("r", .notification).identity, up: .zero)

    let services = [bench.service([:]), bench.service([:])]
    func shows(_ line: String) -> Bool { bench.metrics.exposition().split(separator: "\n").contains(Substring(line)) }
    try await bench.running(services) {
      try await bench.until("it is told") { bench.log.count("an activation makes no progress | x") == 1 }
      try await bench.until("it is counted") { shows("botburrow_stuck_activations 1") }
      #expect(shows("botburrow_slow_activations 1"))
      #expect(shows(#"botburrow_runners{pool="notification"} 1"#))
      #expect(shows(#"botburrow_unserved_pool{pool="notification"} 0"#))
      #expect(shows("botburrow_lost_runners_total 0"))
      // A call of its model came.
      state.idle = .zero
      #expect(try await bench.queue.beat(lease, state))
      try await bench.until("it is over") { bench.log.count("an activation makes progress again, or is over") == 1 }
      #expect(bench.log.count("a slow activation is over") == 0)
      try await bench.queue.finish(lease, .done)
      try await bench.until("the other is over") { bench.log.count("a slow activation is over") == 1 }
      try await bench.until("nothing is wrong") { shows("botburrow_stuck_activations 0") }
    }
    #expect(bench.log.count("an activation makes no progress") == 1)
    #expect(bench.log.count("an activation has used most of its time") == 1)
    #expect(!bench.metrics.exposition().contains("botburrow_metrics_misuse_total 1"))
  }

  @Test func aLostRunnerIsCountedAndWorkThatNobodyServesIsSeen() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    let plain = RedisConnection(bench.server.url)
    defer { plain.close() }
    for id in ["killed", "alive"] {
      try await bench.queue.register(MonitorTests.runner(id, .notification).identity, up: .zero)
    }
    let now = Int(try await bench.queue.runners().now * 1000)
    _ = try await plain.command(["ZADD", "botburrow:runners", RedisArgument(now - 1), "killed"])
    // As if it had been seen so for a while: a runner that comes right back is no news.
    _ = try await plain.command(["HSET", "botburrow:alerts", "lost:killed", RedisArgument(now - 11_000)])
    _ = try await plain.command(["LPUSH", "runner:hybrid:work", #"{"agent_id":"x"}"#])
    try await bench.running([bench.service([:])]) {
      try await bench.until("it is told") { bench.log.count("a runner was lost") == 1 }
      let shown = bench.metrics.exposition().split(separator: "\n").map(String.init)
      #expect(shown.contains("botburrow_lost_runners_total 1"))
      #expect(shown.contains(#"botburrow_runners{pool="notification"} 1"#))
      #expect(shown.contains(#"botburrow_unserved_pool{pool="hybrid"} 1"#))
      #expect(shown.contains(#"botburrow_unserved_pool{pool="notification"} 0"#))
      // Half a minute is not over; then it is.
      #expect(bench.log.count("work waits in a list") == 0)
      _ = try await plain.command(["HSET", "botburrow:alerts", "unserved:hybrid", RedisArgument(now - 31_000)])
      try await bench.until("it is told too") { bench.log.count("work waits in a list") == 1 }
      try await bench.queue.register(MonitorTests.runner("new", .hybrid).identity, up: .zero)
      try await bench.until("the list is served") { bench.log.count("a list is served again, or is empty") == 1 }
      try await bench.queue.register(MonitorTests.runner("killed", .notification).identity, up: .zero)
      try await bench.until("it is back") { bench.log.count("a lost runner is back, or was forgotten") == 1 }
    }
  }

  @Test func workGoesToRunnersThatAreThere() async throws {
    // The configuration counts five places of the notification pool and none of the hybrid one: without a runner that is there it
    // would go to the notification list, as in `aMentionBecomesOneWorkItemHoweverOftenItIsPolled`.
    let bench = try await CoordinatorServiceTests.Bench()
    let service = bench.service(["a": Definitions.agent("a")])
    try await bench.queue.register(MonitorTests.runner("r", .hybrid, slots: 2).identity, up: .zero)
    bench.hub.change { $0.inbox.notifications = [DecisionTests.notification("mention")] }
    try await bench.running([service]) {
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      #expect(try await bench.queue.status().pools[.hybrid]?.queued == 1)
    }
  }
}
