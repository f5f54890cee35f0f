import Redis
import TestSupport
import Testing
import Work

@Suite struct PauseTests {
  @Test func aPausedPoolIsRefusedAndTheOthersAreNot() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"n1"}"#)
    try await bench.push(#"{"agent_id":"h1"}"#, .hybrid)
    #expect(try await bench.queue.pause(.pools([.notification])) == ["notification"])
    #expect(try await bench.queue.pause(.pools([.notification])) == [])
    #expect(try await bench.queue.status().pools[.notification]?.isPaused == true)
    #expect(try await bench.queue.status().isPaused == false)
    #expect(try await bench.claim() == .paused)
    // The control: the other list is served.
    #expect(try await bench.lease(Pool.hybrid.served).item.agentID == "h1")
    #expect(try await bench.claim(Pool.hybrid.served) == .empty)
    #expect(try await bench.queue.resume(.system) == [])
    #expect(try await bench.claim() == .paused)
    #expect(try await bench.queue.resume(.pools([.notification])) == ["notification"])
    #expect(try await bench.lease().item.agentID == "n1")
  }

  @Test func anAgentPausedForLongExploresOnce() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let one = LeaderTests.item("x", task: .exploration)
    #expect(try await bench.queue.enqueue(one, pool: .exploration, fence: fence) == .queued)
    try await bench.queue.pause(.agents(["a"]))
    #expect(try await bench.claim([.exploration]) == .empty)
    // Six hours and more: the mark of what waits in a list would have gone.
    let left = try await bench.plain.command(["PTTL", "botburrow:exploration:a"]).integer ?? 0
    #expect(left > 24 * 3600 * 1000)
    try await bench.queue.resume(.agents(["a"]))
    let two = LeaderTests.item("y", task: .exploration)
    #expect(try await bench.queue.enqueue(two, pool: .exploration, fence: fence) == .duplicate)
    try await bench.queue.finish(try await bench.lease([.exploration]), .done)
    #expect(try await bench.queue.enqueue(two, pool: .exploration, fence: fence) == .queued)
  }

  @Test func afterAPauseTheOldestComesFirstHoweverOftenOthersLook() async throws {
    let bench = try await Bench()
    for post in ["1", "2", "3"] {
      try await bench.push(#"{"agent_id":"a","activation_id":"x\#(post)","post_id":"\#(post)"}"#)
    }
    try await bench.queue.pause(.agents(["a"]))
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().parked == 3)
    for post in ["1", "2", "3"] {
      _ = try await bench.plain.command(["ZADD", "botburrow:parked", RedisArgument(post), RedisArgument("x\(post)")])
    }
    try await bench.queue.resume(.agents(["a"]))
    for _ in 0..<5 { try await bench.queue.recover() }
    #expect(try await bench.length(.notification) == 1)
    for post in ["1", "2", "3"] {
      let lease = try await bench.lease()
      #expect(lease.item.postID == post)
      try await bench.queue.finish(lease, .done)
    }
  }

  // MARK: Waiting

  @Test func aPausedSystemIsWokenByResume() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"n1"}"#)
    #expect(try await bench.queue.pause(.system) == [""])
    #expect(try await bench.claim() == .paused)
    let queue = bench.queue
    let woken = Task { try await queue.wait(after: .paused, pools: [.notification], atMost: .seconds(60)) }
    try await bench.blockedClients(1)
    #expect(try await bench.queue.resume(.system) == [""])
    #expect(try await woken.value)
    #expect(try await bench.lease().item.agentID == "n1")
  }

  /// More than any bell would ring for.
  @Test func everyWaiterIsWokenByOneResume() async throws {
    let bench = try await Bench()
    try await bench.queue.pause(.system)
    let waiters = (0..<40).map { _ in Bench.queue(bench.server) }
    defer { for waiter in waiters { waiter.close() } }
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for (index, waiter) in waiters.enumerated() {
        group.addTask {
          #expect(
            try await waiter.claim([.notification], runner: "r\(index)", runnerCap: 1, globalCap: 1) == .paused)
          return try await waiter.wait(after: .paused, pools: [.notification], atMost: .seconds(60))
        }
      }
      try await bench.blockedClients(40)
      try await bench.queue.resume(.system)
      for try await woken in group { #expect(woken) }
    }
    // Far sooner than the minute.
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test func aResumeBetweenTheRefusalAndTheWaitIsNotMissedAndWakesOnce() async throws {
    let bench = try await Bench()
    try await bench.queue.pause(.pools([.notification]))
    #expect(try await bench.claim() == .paused)
    try await bench.queue.resume(.pools([.notification]))
    #expect(try await bench.queue.wait(after: .paused, pools: [.notification], atMost: .seconds(60)))
    // Paused again: that resume is old, and a waiter that it woke would spin.
    try await bench.queue.pause(.pools([.notification]))
    #expect(try await bench.claim() == .paused)
    #expect(try await !bench.queue.wait(after: .paused, pools: [.notification], atMost: .milliseconds(50)))
  }

  @Test func aHybridRunnerWakesWhenOneOfItsPoolsIsResumed() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"e"}"#, .exploration)
    try await bench.queue.pause(.pools([.exploration]))
    #expect(try await bench.claim(Pool.hybrid.served) == .empty)
    let queue = bench.queue
    let woken = Task { try await queue.wait(after: .empty, pools: Pool.hybrid.served, atMost: .seconds(60)) }
    try await bench.blockedClients(3)
    try await bench.queue.resume(.pools([.exploration]))
    #expect(try await woken.value)
    #expect(try await bench.lease(Pool.hybrid.served).item.agentID == "e")
  }

  // MARK: Agents

  @Test func aPausedAgentsWorkIsParkedAndOthersAreServed() async throws {
    let bench = try await Bench()
    let ids = (0..<3).map { "x\($0)" }
    for id in ids { try await bench.push(#"{"agent_id":"a","post_id":"p","activation_id":"\#(id)"}"#) }
    try await bench.push(#"{"agent_id":"b"}"#)
    #expect(try await bench.queue.pause(.agents(["a", "nobody"])) == ["a", "nobody"])
    #expect(try await bench.queue.pause(.agents(["a"])) == [])
    #expect(try await bench.lease().item.agentID == "b")
    #expect(try await bench.claim() == .empty)
    var status = try await bench.queue.status()
    #expect((status.parked, status.pausedAgents) == (3, 2))
    #expect(status.firstPausedAgents.map(\.id) == ["a", "nobody"])
    #expect(status.firstPausedAgents.allSatisfy { $0.time > 1_700_000_000 })
    // Recovery brings nothing of it back, however long it was parked.
    for id in ids {
      for set in ["botburrow:parked", "botburrow:parked_in:notification"] {
        _ = try await bench.plain.command(["ZADD", RedisArgument(set), "1", RedisArgument(id)])
      }
    }
    try await bench.queue.recover()
    #expect(try await bench.length() == 0)

    #expect(try await bench.queue.resume(.agents(["a"])) == ["a"])
    #expect(try await bench.queue.resume(.agents(["a"])) == [])
    let lease = try await bench.lease()
    #expect(lease.activationID == "x0")
    #expect(lease.merged.map(\.id) == ["x1", "x2"])
    status = try await bench.queue.status()
    #expect((status.parked, status.pausedAgents) == (0, 1))
  }

  @Test func whatRunsGoesOnAndWhatFollowsWaits() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    let running = try await bench.lease()
    try await bench.push(#"{"agent_id":"a","activation_id":"y"}"#)
    #expect(try await bench.claim() == .empty)
    try await bench.queue.pause(.agents(["a"]))
    #expect(try await bench.queue.running(.agents(["a"])) == 1)
    #expect(try await bench.queue.running(.agents(["b"])) == 0)
    #expect(try await bench.queue.beat(running))
    // Tried again: that is a claim too.
    #expect(try await bench.queue.finish(running, .retry(reason: "away", delay: .zero)))
    #expect(try await bench.queue.running(.agents(["a"])) == 0)
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().parked == 2)
    try await bench.queue.resume(.agents(["a"]))
    // What ran before is the older work.
    #expect(try await bench.lease().activationID == "x")
  }

  @Test func aRestThatEndsDoesNotEndAPause() async throws {
    let bench = try await Bench()
    try await bench.queue.pause(.agents(["a"]))
    try await bench.push(#"{"agent_id":"a"}"#)
    #expect(try await bench.claim() == .empty)
    _ = try await bench.plain.command(["ZADD", "botburrow:failures", "10", "a"])
    _ = try await bench.plain.command(["ZADD", "botburrow:resting", "1", "a"])
    try await bench.queue.recover()
    #expect(try await bench.queue.endRest(of: "a"))
    #expect(try await bench.claim() == .empty)
    // And the other way round.
    _ = try await bench.plain.command(["ZADD", "botburrow:resting", "99999999999999", "a"])
    try await bench.queue.resume(.agents(["a"]))
    #expect(try await bench.claim() == .empty)
    _ = try await bench.plain.command(["ZADD", "botburrow:failures", "10", "a"])
    #expect(try await bench.queue.endRest(of: "a"))
    #expect(try await bench.lease().item.agentID == "a")
  }

  @Test func notificationsOfALongPauseStayKnown() async throws {
    let bench = try await Bench()
    try await bench.queue.pause(.agents(["a"]))
    try await bench.push(#"{"agent_id":"a","activation_id":"x","notification_ids":["n"]}"#)
    try await bench.push(#"{"agent_id":"b","activation_id":"y","notification_ids":["m"]}"#)
    _ = try await bench.lease()
    for key in ["botburrow:notification:n", "botburrow:notification:m"] {
      _ = try await bench.plain.command(["PEXPIRE", RedisArgument(key), 60_000])
    }
    #expect(try await bench.queue.notificationStates(["n", "m"])["n"] == .waiting(activationID: "x"))
    #expect(try await bench.plain.command(["PTTL", "botburrow:notification:n"]).integer ?? 0 > 60_000)
    // The control: of what runs the mark is its own matter.
    #expect(try await bench.plain.command(["PTTL", "botburrow:notification:m"]).integer ?? 0 <= 60_000)
  }

  @Test func aPausedAgentIsNotExploredAndComesBackAsStaleAsItWas() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    #expect(
      try await bench.queue.scheduleNew([("paused", 1000), ("late", 2000), ("other", 3000)], fence: fence))
    try await bench.queue.pause(.agents(["paused", "unseen"]))
    #expect(try await bench.queue.status().stalenessDebt == 2)
    // Given a due time by one that did not know yet.
    #expect(try await bench.queue.scheduleNew([("paused", 1500)], fence: fence))
    let due = try #require(try await bench.queue.takeDue(2, fence: fence))
    #expect(due.agents.map(\.agentID) == ["late", "other"])
    #expect(due.debt == 2)
    #expect(try await bench.queue.status().stalenessDebt == 0)
    // The census leaves both alone.
    #expect(try await bench.queue.unscheduled(["paused", "unseen", "new"]) == ["new"])
    let item = WorkItem(activationID: "e", agentID: "paused", taskType: .exploration)
    #expect(try await bench.queue.enqueue(item, pool: .exploration, fence: fence) == .duplicate)

    try await bench.queue.resume(.agents(["paused", "unseen"]))
    #expect(try await bench.queue.status().stalenessDebt == 1)
    let again = try #require(try await bench.queue.takeDue(2, fence: fence))
    #expect(again.agents.map(\.agentID) == ["paused"])
    #expect(again.agents.first?.due == 1000)
    #expect(try await bench.queue.enqueue(item, pool: .exploration, fence: fence) == .queued)
    #expect(try await bench.queue.unscheduled(["paused", "unseen"]) == ["unseen"])
  }

  // MARK: Runners

  @Test func aPausedRunnerClaimsNothingAndOthersDo() async throws {
    let bench = try await Bench()
    for agent in ["a", "b", "c"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    let running = try await bench.lease(runner: "r1")
    #expect(try await bench.queue.pause(.runners(["r1"])) == ["r1"])
    #expect(try await bench.queue.pause(.runners(["r1"])) == [])
    #expect(try await bench.queue.running(.runners(["r1"])) == 1)
    #expect(try await bench.claim(runner: "r1") == .paused)
    #expect(try await bench.lease(runner: "r2").item.agentID == "b")
    // What it has goes on.
    #expect(try await bench.queue.beat(running))
    #expect(try await bench.queue.finish(running, .done))
    #expect(try await bench.queue.running(.runners(["r1"])) == 0)
    #expect(try await bench.queue.running(.runners(["r1", "r2"])) == 1)
    #expect(try await bench.claim(runner: "r1") == .paused)

    let queue = bench.queue
    let woken = Task { try await queue.wait(after: .paused, pools: [.notification], atMost: .seconds(60)) }
    try await bench.blockedClients(1)
    #expect(try await bench.queue.resume(.runners(["r1"])) == ["r1"])
    #expect(try await woken.value)
    #expect(try await bench.lease(runner: "r1").item.agentID == "c")
  }

  /// It waited for a slot when it was paused, and the slot that it is woken for is another's.
  @Test func aPausedRunnerPassesTheBellOn() async throws {
    let bench = try await Bench()
    let other = Bench.queue(bench.server)
    for agent in ["a", "b"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    let running = try await bench.lease(runner: "r0")
    #expect(try await bench.claim(runner: "r1", globalCap: 1) == .full)
    try await bench.queue.pause(.runners(["r1"]))
    try await bench.queue.finish(running, .done)
    #expect(try await bench.queue.wait(after: .full, pools: [.notification], atMost: .seconds(10)))
    #expect(try await bench.claim(runner: "r1", globalCap: 1) == .paused)
    #expect(try await other.wait(after: .full, pools: [.notification], atMost: .seconds(10)))
    #expect(try await bench.lease(runner: "r2").item.agentID == "b")
  }

  @Test func aPausedRunnerIsForgottenAWeekAfterItAskedLast() async throws {
    let bench = try await Bench()
    try await bench.queue.pause(.runners(["alive", "gone"]))
    for runner in ["alive", "gone"] {
      _ = try await bench.plain.command(["ZADD", "botburrow:paused_runners", "1000", RedisArgument(runner)])
    }
    #expect(try await bench.claim(runner: "alive") == .paused)
    #expect(try await bench.queue.status().firstPausedRunners.map(\.id) == ["gone", "alive"])
    try await bench.queue.recover()
    let status = try await bench.queue.status()
    #expect(status.pausedRunners == 1)
    #expect(status.firstPausedRunners.map(\.id) == ["alive"])
    #expect((status.firstPausedRunners.first?.time ?? 0) > 1_700_000_000)
  }

  @Test func everythingIsResumedTogether() async throws {
    let bench = try await Bench()
    let agents = (0..<250).map { "a\($0)" }
    #expect(try await bench.queue.pause(.agents(agents)).count == 250)
    try await bench.queue.pause(.runners(["r1"]))
    try await bench.queue.pause(.pools([.hybrid]))
    try await bench.queue.pause(.system)
    #expect(try await bench.queue.running(.system) == 0)
    #expect(try await bench.queue.resumeAll() == 253)
    #expect(try await bench.queue.resumeAll() == 0)
    let status = try await bench.queue.status()
    #expect((status.isPaused, status.pausedAgents, status.pausedRunners) == (false, 0, 0))
    try await bench.push(#"{"agent_id":"a7"}"#)
    #expect(try await bench.lease().item.agentID == "a7")
  }
}
