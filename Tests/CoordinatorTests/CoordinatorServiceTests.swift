import Agents
import Configuration
import Coordinator
import Hub
import Logging
import Observe
import Redis
import Synchronization
import TestSupport
import Testing
import Work

@Suite struct CoordinatorServiceTests {
  struct Bench {
    let server: RedisServer
    let queue: WorkQueue
    let hub = InboxHub()
    let log = LogBook()
    let metrics = Metrics()

    init() async throws {
      server = try await RedisServer()
      // On a busy machine one test may take half a minute, and nobody renews its lease.
      var options = WorkQueue.Options()
      options.lease = .seconds(600)
      queue = WorkQueue(server.url, options: options)
    }

    func service(
      _ definitions: [String: AgentDefinition?], ttl: Duration = .seconds(10), poll: Duration = .milliseconds(20),
      campaign: Duration = .milliseconds(20), rests: Duration = .milliseconds(20)
    ) -> CoordinatorService {
      var configuration = Configuration()
      configuration.coordinator.pollInterval = poll
      configuration.runners = ["notification": Configuration.RunnerPool(replicas: 1, maxActivations: 5)]
      var timing = CoordinatorService.Timing()
      timing.leaderTTL = ttl
      timing.campaignInterval = campaign
      timing.maintenanceInterval = .milliseconds(20)
      timing.watchInterval = .milliseconds(20)
      timing.stalenessInterval = rests
      timing.censusInterval = rests
      return CoordinatorService(
        configuration: configuration, queue: WorkQueue(server.url), hub: hub, definitions: Definitions(definitions),
        metrics: metrics, logger: log.logger, timing: timing)
    }

    /// Waits until it holds; the test fails after a minute.
    func until(_ what: String, _ condition: () async throws -> Bool) async throws {
      let limit = ContinuousClock.now + .seconds(60)
      while try await !condition() {
        guard ContinuousClock.now < limit else { throw TestServerError("never: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    /// Waits for polls that began after now.
    func polls(_ count: Int = 2) async throws {
      let before = hub.state.withLock { $0.polls }
      try await until("\(count) more polls") { hub.state.withLock { $0.polls } >= before + count }
    }
    static func running(_ services: [CoordinatorService], _ body: () async throws -> Void) async throws {
      let tasks = services.map { service in Task { await service.run() } }
      do {
        try await body()
      } catch {
        for task in tasks { task.cancel() }
        throw error
      }
      for task in tasks { task.cancel() }
      for task in tasks { await task.value }
    }
    func running(_ services: [CoordinatorService], _ body: () async throws -> Void) async throws {
      try await Self.running(services, body)
    }
    func lease(_ pool: Pool = .notification) async throws -> Lease {
      let outcome = try await queue.claim([pool], runner: "r", runnerCap: 10, globalCap: 10)
      guard case .claimed(let lease) = outcome else { throw TestServerError("claimed nothing: \(outcome)") }
      return lease
    }
  }

  func running(_ services: [CoordinatorService], _ body: () async throws -> Void) async throws {
    try await Bench.running(services, body)
  }

  @Test func aMentionBecomesOneWorkItemHoweverOftenItIsPolled() async throws {
    let bench = try await Bench()
    bench.hub.change {
      $0.inbox.notifications = [
        DecisionTests.notification("mention", id: "1"), DecisionTests.notification("reply", id: "2"),
        DecisionTests.notification("like", id: "3"), DecisionTests.notification("mention", id: "4", agent: "ghost"),
        DecisionTests.notification("mention", id: "5", agent: "broken"),
        DecisionTests.notification("poke", id: "6"),
      ]
      $0.inbox.unreadable = ["notifications[6]: 'id' is missing"]
    }
    let service = bench.service(["a": Definitions.agent("a"), "broken": nil])
    try await running([service]) {
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      try await bench.polls()
      #expect(service.isLeader)
      #expect((service.lastPollAt ?? 0) > 1_700_000_000)
      let lease = try await bench.lease()
      #expect(lease.item.notificationIDs == ["1", "2"])
      #expect(lease.item.priority == .high)
      #expect(lease.item.postID == "p")
      #expect(lease.item.activationID == lease.activationID)
      // Answered, but the runner's read-mark did not reach the Hub: the coordinator's does.
      try await bench.queue.finish(lease, .done)
      try await bench.until("read-marks") {
        Set(bench.hub.state.withLock { $0.read.flatMap { $0 } }) == ["1", "2", "3"]
      }
      try await bench.polls()
      #expect(try await bench.queue.status().counts["enqueued"] == 1)
      #expect(try await bench.queue.status().pools[.notification]?.queued == 0)
    }
    #expect(
      bench.log.count(
        "the Hub has notifications for an agent without a definition; publish agents/<id>/config.yaml or remove it there | ghost"
      ) == 1)
    #expect(
      bench.log.count("agent definition can't be read | agents/broken/config.yaml:1:1: 'name' is missing") == 1)
    #expect(bench.log.count("a notification can't be read | notifications[6]: 'id' is missing") == 1)
    let exposed = bench.metrics.exposition()
    for line in [
      #"botburrow_assigned_total{pool="notification",task_type="notification"} 1"#,
      #"botburrow_definition_errors_total{agent="broken"} 1"#, "botburrow_unknown_agents_total 1",
      "botburrow_unreadable_notifications_total 1", "botburrow_leader 0",
      #"botburrow_runner_queue_depth{pool="notification"} 0"#, #"botburrow_notifications_total{decision="answer"} 2"#,
      #"botburrow_notifications_total{decision="answered"} 2"#,
    ] {
      #expect(exposed.split(separator: "\n").contains(Substring(line)), "\(line) in\n\(exposed)")
    }
    // No name or label that the table of metrics does not know.
    #expect(!exposed.contains("botburrow_metrics_misuse_total") || exposed.contains("botburrow_metrics_misuse_total 0"))
    // It gave the lock up.
    #expect(try await bench.queue.status().leader == nil)
  }

  @Test func theHubsTroubleEndsNothing() async throws {
    let bench = try await Bench()
    bench.hub.change {
      $0.failures = [
        HubError(
          operation: "GET /notifications", status: 503, reason: "503 Service Unavailable",
          retryAfter: .milliseconds(300)),
        HubError(operation: "GET /notifications", status: nil, reason: "connection refused", retryAfter: .zero),
      ]
      $0.inbox.notifications = [DecisionTests.notification("mention")]
    }
    let start = ContinuousClock.now
    try await running([bench.service(["a": Definitions.agent("a")])]) {
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
    }
    #expect(ContinuousClock.now - start >= .milliseconds(300))
    #expect(bench.log.count("the Hub failed | Hub: GET /notifications: 503 Service Unavailable") == 1)
    #expect(bench.log.count("the Hub failed | Hub: GET /notifications: connection refused") == 1)
    let exposed = bench.metrics.exposition()
    #expect(exposed.contains(#"botburrow_hub_errors_total{operation="GET /notifications",status="503"} 1"#))
    #expect(exposed.contains(#"botburrow_hub_errors_total{operation="GET /notifications",status="none"} 1"#))
  }

  @Test func theOtherTakesOverFromOneThatDied() async throws {
    let bench = try await Bench()
    // A leader that will never renew, as after kill -9.
    let dead = Leader(bench.queue, nonce: "dead")
    let fence = try #require(try await dead.campaign())
    _ = try await RedisConnection(bench.server.url).command(["PEXPIRE", "coordinator:leader", 500])
    bench.hub.change { $0.inbox.notifications = [DecisionTests.notification("mention")] }
    let service = bench.service(["a": Definitions.agent("a")])
    try await running([service]) {
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      #expect(try await bench.queue.status().leader?.hasPrefix("2:") == true)
      #expect(
        try await bench.queue.enqueue([Proposal(item: bench.lease().item, pool: .notification)], fence: fence) == [
          .fenced
        ])
    }
  }

  @Test func oneOfTwoLeadsAndHandsOverWhenItEnds() async throws {
    let bench = try await Bench()
    let one = bench.service(["a": Definitions.agent("a")])
    // Its turn to campaign comes in five minutes: it is woken.
    let two = bench.service(["a": Definitions.agent("a")], campaign: .seconds(300))
    let first = Task { await one.run() }
    try await bench.until("the first leads") { one.isLeader }
    let plain = RedisConnection(bench.server.url)
    try await running([two]) {
      try await bench.until("the second waits") {
        try await plain.command(["INFO", "clients"]).string?.contains("blocked_clients:1\r\n") == true
      }
      try await bench.polls()
      #expect(!two.isLeader)
      first.cancel()
      await first.value
      #expect(!one.isLeader)
      // Far sooner than the lock's 10 s.
      let start = ContinuousClock.now
      try await bench.until("the second leads") { two.isLeader }
      #expect(ContinuousClock.now - start < .seconds(5))
      try await bench.polls()
    }
  }

  /// It was stopped for a while, another led and died, and it leads again before its slower loops have woken.
  @Test func oneThatLosesTheLeadAndHasItAgainPollsAgain() async throws {
    let bench = try await Bench()
    let service = bench.service([:], ttl: .milliseconds(900), rests: .seconds(300))
    let plain = RedisConnection(bench.server.url)
    try await running([service]) {
      try await bench.polls()
      _ = try await plain.command(["SET", "coordinator:leader", "9:other", "PX", "1500"])
      try await bench.until("it knows") { !service.isLeader }
      try await bench.until("it leads again") { service.isLeader }
      try await bench.polls()
    }
  }

  @Test func redisRestartingEndsNothing() async throws {
    let bench = try await Bench()
    let service = bench.service(["a": Definitions.agent("a")])
    try await running([service]) {
      try await bench.polls()
      bench.server.kill9()
      try await bench.until("the trouble is told") { bench.log.count("Redis failed") > 0 }
      try await bench.server.start()
      bench.hub.change { $0.inbox.notifications = [DecisionTests.notification("mention")] }
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      try await bench.until("the end of the trouble is told") { bench.log.count("Redis answers again") > 0 }
    }
  }

  @Test func expiredLeasesArePutBack() async throws {
    let bench = try await Bench()
    var options = WorkQueue.Options()
    options.lease = .milliseconds(50)
    let hasty = WorkQueue(bench.server.url, options: options)
    let plain = RedisConnection(bench.server.url)
    _ = try await plain.command(["LPUSH", "runner:hybrid:work", #"{"agent_id":"x"}"#])
    guard case .claimed(let lease) = try await hasty.claim([.hybrid], runner: "r", runnerCap: 1, globalCap: 1) else {
      Issue.record("nothing claimed")
      return
    }
    try await running([bench.service([:])]) {
      try await bench.until("it is back") { try await bench.queue.status().pools[.hybrid]?.queued == 1 }
    }
    #expect(try await bench.lease(.hybrid).activationID == lease.activationID)
    #expect(bench.log.count("work was put back") == 1)
  }

  @Test func restedAgentsExploreOneAtATime() async throws {
    let bench = try await Bench()
    bench.hub.change { $0.stale = [HubAgent(id: "rested"), HubAgent(id: "quiet")] }
    let definitions: [String: AgentDefinition?] = [
      "rested": Definitions.agent("rested", explores: true), "active": Definitions.agent("active", explores: true),
      "quiet": Definitions.agent("quiet"), "broken": nil,
    ]
    try await running([bench.service(definitions)]) {
      try await bench.until("an exploration") { try await bench.queue.status().counts["enqueued"] == 1 }
      #expect(try await bench.queue.unscheduled(["rested", "active", "quiet", "broken"]) == ["broken"])
      let lease = try await bench.lease(.exploration)
      #expect(lease.item.agentID == "rested")
      #expect(lease.item.taskType == .exploration)
      #expect(lease.item.priority == .low)
      // Made due again by hand while it runs: it stays at one; and when it is done, it has just been active.
      let plain = RedisConnection(bench.server.url)
      _ = try await plain.command(["ZADD", "botburrow:stale", "1", "rested"])
      try await bench.until("it was looked at") {
        try await plain.command(["ZSCORE", "botburrow:stale", "rested"]).string != "1"
      }
      // Taken is not yet decided: that look must have come to its end while it still ran.
      let look = {
        bench.metrics.exposition().split(separator: "\n").first { $0.hasPrefix("botburrow_staleness_tick_seconds ") }
      }
      let last = look()
      try await bench.until("the look ended") { look() != last }
      try await bench.queue.finish(lease, .done)
      _ = try await plain.command(["ZADD", "botburrow:stale", "1", "rested"])
      try await bench.until("it was put off") {
        // A threshold from its activation: hours from now, not the hold of a minute.
        let due = try await plain.command(["ZSCORE", "botburrow:stale", "rested"]).string.flatMap { Double($0) } ?? 0
        return due / 1000 > WallClock.now + 3600
      }
      #expect(try await bench.queue.status().counts["enqueued"] == 1)
    }
  }

  @Test func theNextLookIsReadAhead() async throws {
    let bench = try await Bench()
    let plain = RedisConnection(bench.server.url)
    let soon = Int((WallClock.now + 3600) * 1000)
    _ = try await plain.command(["ZADD", "botburrow:stale", RedisArgument(soon), "active"])
    _ = try await plain.command(["ZADD", "botburrow:stale", RedisArgument(soon * 2), "rested"])
    let definitions = [
      "rested": Definitions.agent("rested", explores: true), "active": Definitions.agent("active", explores: true),
    ]
    // One look in this test, which comes an hour before the next.
    try await running([bench.service(definitions, rests: .seconds(3600))]) {
      try await bench.until("it was read") {
        bench.metrics.exposition().contains("\nbotburrow_staleness_read_ahead_seconds ")
      }
      // Of the agent that is far from being due nothing was asked.
      #expect(bench.hub.state.withLock { $0.budgetCalls } == 1)
      #expect(try await bench.queue.status().counts["enqueued"] == nil)
      #expect(try await plain.command(["ZSCORE", "botburrow:stale", "active"]).string == "\(soon)")
    }
  }
}
