import Redis
import TestSupport
import Testing
import Work

/// A Redis whose memory is full (`maxmemory`, `noeviction`): what brings work is refused whole, what ends work goes on.
@Suite struct FullTests {
  /// Every byte is one too many from now on.
  static func fill(_ bench: Bench) async throws {
    _ = try await bench.plain.command(["CONFIG", "SET", "maxmemory", "1"])
    let refused = await #expect(throws: RedisError.self) { try await bench.plain.command(["SET", "more", "x"]) }
    #expect(refused?.isFull == true && refused?.isTransient == true)
    #expect(refused?.description.contains("raise maxmemory") == true)
  }
  static func makeRoom(_ bench: Bench) async throws {
    _ = try await bench.plain.command(["CONFIG", "SET", "maxmemory", "0"])
  }
  static func digest(_ bench: Bench) async throws -> String? {
    try await bench.plain.command(["DEBUG", "DIGEST"]).string
  }

  @Test func whatBringsWorkIsRefusedWholeAndTakenLater() async throws {
    let bench = try await Bench(server: ["--enable-debug-command", "yes"])
    let fence = try #require(try await bench.leader().campaign())
    #expect(try await bench.queue.scheduleNew([("old", 1)], fence: fence))
    try await bench.push(#"{"agent_id":"d","activation_id":"dead"}"#)
    try await bench.queue.finish(try await bench.lease(), .dead(reason: "x"))
    try await Self.fill(bench)
    let before = try await Self.digest(bench)
    let item = LeaderTests.item("x", notifications: ["n1", "n2"])
    let exploration = LeaderTests.item("y", task: .exploration)
    func bring() async -> [RedisError?] {
      var failures: [RedisError?] = []
      func note(_ body: () async throws(RedisError) -> Void) async {
        do {
          try await body()
          failures.append(nil)
        } catch { failures.append(error) }
      }
      await note { () throws(RedisError) in
        _ = try await bench.queue.enqueue(item, pool: .notification, fence: fence)
      }
      await note { () throws(RedisError) in
        _ = try await bench.queue.enqueue(
          [Proposal(item: exploration, pool: .exploration, nextDue: 5)], fence: fence)
      }
      await note { () throws(RedisError) in _ = try await bench.queue.scheduleNew([("new", 1)], fence: fence) }
      await note { () throws(RedisError) in _ = try await bench.queue.takeDue(1, fence: fence) }
      return failures
    }
    let failures = await bring()
    #expect(failures.map { $0?.isFull } == Array(repeating: true, count: 4))
    #expect(try await Self.digest(bench) == before)
    // What only reads is served.
    #expect(try await bench.queue.notificationStates(["n1", "n2"]).isEmpty)
    #expect(try await bench.queue.status().dead == 1)
    #expect(try await bench.queue.dead().map(\.id) == ["dead"])
    #expect(try await bench.queue.entry("x") == nil)
    #expect(try await bench.queue.unscheduled(["old", "new"]) == ["new"])
    // The same again once there is room.
    try await Self.makeRoom(bench)
    #expect(await bring().allSatisfy { $0 == nil })
    #expect(try await bench.queue.status().counts["enqueued"] == 2)
    #expect(try await bench.length(.notification) == 1)
  }

  @Test func whatRunsGoesOnAndEndsAndMakesRoom() async throws {
    let bench = try await Bench(lease: .seconds(2))
    let leader = bench.leader()
    let fence = try #require(try await leader.campaign())
    for name in ["run", "drop", "fail", "rest"] {
      try await bench.push(#"{"agent_id":"\#(name)","activation_id":"\#(name)","notification_ids":["n-\#(name)"]}"#)
    }
    let run = try await bench.lease()
    try await Self.fill(bench)
    // The leader leads on, and where it doesn't another may.
    #expect(try await leader.campaign() == fence)
    try await leader.resign()
    #expect(try await bench.leader("two").campaign()?.value == "2:two")
    // The heartbeat, the ledger, the outbox with its steps, the end.
    #expect(try await bench.queue.beat(run))
    #expect(try await bench.queue.beginEffect("run-1", body: [1], lease: run) == .new)
    try await bench.queue.effectMade("run-1", body: [1], lease: run)
    #expect(try await bench.queue.store(OutboxTests.entry(run, notes: ["n-run"]), lease: run) == .stored)
    #expect(try await bench.queue.step("run", token: run.token, lease: .seconds(15), [0: .sent]))
    #expect(try await bench.queue.finish(run, .delivering(after: .zero)))
    #expect(try await OutboxTests.claimed(bench).map(\.id) == ["run"])
    #expect(try await bench.queue.endOutbox("run", token: "t", .delivered, [1: .sent]) == .delivered)
    // What lies in the lists is claimed: it gets out of memory no other way.
    let drop = try await bench.lease(runner: "dies")
    let fail = try await bench.lease()
    #expect(try await bench.queue.finish(fail, .retry(reason: "away", delay: .milliseconds(1))))
    #expect(try await LeaseTests.recoverSomething(bench.queue).retried == 1)
    #expect(try await LeaseTests.recoverSomething(bench.queue).expired == 1)
    #expect(try await bench.queue.beat(drop) == false)
    for _ in 0..<3 {
      let lease = try await bench.lease()
      #expect(try await bench.queue.finish(lease, lease.activationID == "fail" ? .dead(reason: "x") : .done))
    }
    // Operators can pause, have something tried again, and throw away.
    #expect(try await bench.queue.pause(.system).count == 1)
    #expect(try await bench.queue.resume(.system).count == 1)
    #expect(try await bench.queue.replay("fail") == .queued)
    #expect(try await bench.queue.finish(try await bench.lease(), .dead(reason: "x")))
    #expect(try await bench.queue.purgeDead(["fail"]) == 1)
    let status = try await bench.queue.status()
    #expect((status.leased, status.retries, status.dead, status.outbox, status.parked) == (0, 0, 0, 0, 0))
    #expect(status.counts["done"] == 3 && status.counts["delivered"] == 1 && status.counts["purged"] == 1)
  }

  /// BLMOVE is refused there, so a runner looks now and then instead of failing.
  @Test func whoWaitsLooksAgainAfterAWhile() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a"}"#)
    try await Self.fill(bench)
    let refused = await #expect(throws: RedisError.self) {
      try await bench.plain.blockingCommand(["BLMOVE", "x", "x", "RIGHT", "RIGHT", "0.01"], wait: .seconds(1))
    }
    #expect(refused?.isFull == true)
    #expect(try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(20)))
    #expect(try await bench.lease().item.agentID == "a")
    #expect(try await !bench.queue.wait(after: .full, pools: [.notification], atMost: .milliseconds(20)))
  }
}
