import Redis
import Synchronization
import TestSupport
import Testing
import Work

@Suite struct LeaderTests {
  static func item(_ id: String, agent: String = "a", notifications: [String] = [], task: TaskType = .notification)
    -> WorkItem
  {
    WorkItem(activationID: id, agentID: agent, taskType: task, notificationIDs: notifications)
  }

  @Test func oneLeadsAndTheOtherTakesOverWhenItResigns() async throws {
    let bench = try await Bench()
    let one = bench.leader("one")
    let two = bench.leader("two")
    #expect(try await one.campaign() == Fence(value: "1:one"))
    #expect(try await two.campaign() == nil)
    #expect(try await one.campaign() == Fence(value: "1:one"))
    #expect(try await bench.plain.command(["GET", "coordinator:leader"]).string == "1:one")
    try await one.resign()
    #expect(one.fence == nil)
    #expect(try await two.campaign() == Fence(value: "2:two"))
    // Resigning without the lock takes nobody else's.
    try await one.resign()
    #expect(try await two.campaign()?.epoch == 2)
  }

  @Test func whoeverWaitsForAVacancyIsWokenWhenTheLeaderResigns() async throws {
    let bench = try await Bench()
    let one = bench.leader("one")
    // Each in a process of its own.
    let (two, three) = (
      bench.leader("two", Bench.queue(bench.server)), bench.leader("three", Bench.queue(bench.server))
    )
    _ = try await one.campaign()
    // The control: while somebody leads nobody is woken.
    #expect(try await !two.waitForVacancy(atMost: .milliseconds(50)))
    async let second = two.waitForVacancy(atMost: .seconds(20))
    async let third = three.waitForVacancy(atMost: .seconds(20))
    try await bench.blockedClients(2)
    try await one.resign()
    #expect(try await second)
    #expect(try await third)
    #expect(try await two.campaign() == Fence(value: "2:two"))
    #expect(try await three.campaign() == nil)
    // The vacancy is over: who waits now isn't woken by it.
    #expect(try await !three.waitForVacancy(atMost: .milliseconds(50)))
    // Nor by one that somebody filled who knows nothing of it.
    try await two.resign()
    _ = try await bench.plain.command(["SET", "coordinator:leader", "9:other"])
    #expect(try await three.waitForVacancy(atMost: .seconds(20)))
    #expect(try await three.campaign() == nil)
    #expect(try await bench.plain.command(["EXISTS", "botburrow:leader:vacant"]).integer == 0)
  }

  @Test func aLeaderThatWasStoppedWritesNothingWhenItWakes() async throws {
    let bench = try await Bench()
    let stopped = bench.leader("stopped")
    let fence = try #require(try await stopped.campaign())
    // It does not renew, and the lock runs out (sooner here); the other takes over. The worst case: it believes that it leads.
    let next = bench.leader("next")
    _ = try await bench.plain.command(["PEXPIRE", "coordinator:leader", 20])
    while try await next.campaign() == nil {}
    #expect(stopped.fence == fence)
    let before = try await bench.plain.command(["DBSIZE"])
    // What it had decided before it was stopped is refused, whatever it believes.
    #expect(try await bench.queue.enqueue(Self.item("x", notifications: ["n"]), pool: .hybrid, fence: fence) == .fenced)
    #expect(try await bench.queue.scheduleNew([("a", 1)], fence: fence) == false)
    #expect(try await bench.queue.reschedule([("a", 1)], fence: fence) == false)
    #expect(try await bench.queue.unschedule(["a"], fence: fence) == false)
    #expect(try await bench.queue.takeDue(1, fence: fence) == nil)
    #expect(try await bench.plain.command(["DBSIZE"]) == before)
    #expect(try await bench.length(.hybrid) == 0)
    // Its renewal finds another, and its resignation takes nothing.
    #expect(try await stopped.campaign() == nil)
    try await stopped.resign()
    #expect(try await next.campaign()?.epoch == 2)
  }

  @Test func itStepsDownByItsOwnClockBeforeTheLockRunsOut() async throws {
    let bench = try await Bench()
    let start = ContinuousClock.now
    let elapsed = Mutex(Duration.zero)
    let leader = Leader(bench.queue, ttl: .seconds(10), now: { start + elapsed.withLock { $0 } })
    _ = try await leader.campaign()
    elapsed.withLock { $0 = .milliseconds(8_999) }
    #expect(leader.fence != nil)
    elapsed.withLock { $0 = .seconds(9) }
    #expect(leader.fence == nil)
    // Nobody else took it: the same epoch goes on.
    #expect(try await leader.campaign()?.epoch == 1)
  }

  @Test func theLockIsKeptWhileRedisIsAwayForAMoment() async throws {
    let bench = try await Bench()
    let leader = bench.leader()
    let fence = try #require(try await leader.campaign())
    bench.server.kill9()
    await #expect(throws: RedisError.self) { try await leader.campaign() }
    #expect(leader.fence == fence)
    try await bench.server.start()
    #expect(try await leader.campaign() == fence)
  }

  @Test func aNotificationIsQueuedOnce() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    #expect(
      try await bench.queue.enqueue(Self.item("x", notifications: ["n1", "n2"]), pool: .notification, fence: fence)
        == .queued)
    // The next poll sees n2 still unread, after a crash even under another id.
    #expect(
      try await bench.queue.enqueue(Self.item("y", notifications: ["n2", "n3"]), pool: .notification, fence: fence)
        == .duplicate)
    let known = try await bench.queue.notificationStates(["n1", "n2", "n3"])
    #expect(known == ["n1": .waiting(activationID: "x"), "n2": .waiting(activationID: "x")])
    let lease = try await bench.lease()
    #expect(lease.activationID == "x")
    #expect(try await bench.claim() == .empty)
    try await bench.queue.finish(lease, .done)
    #expect(try await bench.queue.notificationStates(["n1"]) == ["n1": .done(activationID: "x")])
    #expect(
      try await bench.queue.enqueue(Self.item("z", notifications: ["n1"]), pool: .notification, fence: fence)
        == .duplicate)
  }

  @Test func deadNotificationsAreNeitherQueuedAgainNorForgotten() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let item = Self.item("x", notifications: ["n"])
    _ = try await bench.queue.enqueue(item, pool: .notification, fence: fence)
    try await bench.queue.finish(try await bench.lease(), .dead(reason: "the definition has no command"))
    #expect(try await bench.queue.notificationStates(["n"]) == ["n": .dead(activationID: "x")])
    #expect(try await bench.queue.enqueue(item, pool: .notification, fence: fence) == .duplicate)
    let letter = try #require(try await bench.queue.dead().first)
    #expect(letter.reason == "the definition has no command")
    // Pushing the kept bytes again is how an operator has it tried once more.
    _ = try await bench.plain.command(["LPUSH", RedisArgument(Pool.notification.list), RedisArgument(letter.raw)])
    #expect(try await bench.lease().activationID == "x")
  }

  @Test func theScheduleGivesTheMostOverdueFirst() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let far = 32_503_680_000.0
    #expect(try await bench.queue.scheduleNew([("b", 20), ("a", 10), ("c", 30), ("later", far)], fence: fence))
    // What has a time keeps it.
    #expect(try await bench.queue.scheduleNew([("a", far)], fence: fence))
    let due = try #require(try await bench.queue.takeDue(2, fence: fence))
    #expect(due.agents.map(\.agentID) == ["a", "b"])
    #expect(due.agents.map(\.due) == [10, 20])
    #expect(due.debt == 3)
    // Held for a while, then offered again: a leader that dies in between loses none.
    #expect(try await bench.queue.takeDue(5, hold: .zero, fence: fence)?.agents.map(\.agentID) == ["c"])
    #expect(try await bench.queue.takeDue(5, fence: fence)?.agents.map(\.agentID) == ["c"])

    // One exploration per agent at a time.
    let one = Self.item("x", agent: "a", task: .exploration)
    let two = Self.item("y", agent: "a", task: .exploration)
    let both = [one, two].map { Proposal(item: $0, pool: .exploration, nextDue: far) }
    #expect(try await bench.queue.enqueue(both, fence: fence) == [EnqueueOutcome.queued, .duplicate])
    try await bench.queue.finish(try await bench.lease([.exploration]), .done)
    let again = Proposal(item: two, pool: .exploration, nextDue: 1)
    #expect(try await bench.queue.enqueue([again], fence: fence) == [EnqueueOutcome.queued])
    let taken = try #require(try await bench.queue.takeDue(5, fence: fence)?.agents.first)
    #expect(taken.agentID == "a")
    #expect(abs((taken.lastActivated ?? 0) - (try await bench.queue.takeDue(0, fence: fence)?.now ?? 1)) < 60)
    #expect(try await bench.queue.unschedule(["a", "b"], fence: fence))
    #expect(try await bench.queue.unscheduled(["a", "b", "c", "later"]) == ["a", "b"])
    // Those that don't explore are known too, for a while.
    #expect(try await bench.queue.noteQuiet([("a", 1), ("b", far)], fence: fence))
    #expect(try await bench.queue.unscheduled(["a", "b", "c", "new"]) == ["a", "new"])
    #expect(try await bench.queue.unscheduled([]) == [])
  }
}
