import Redis
import Synchronization
import TestSupport
import Testing
import Work

@Suite struct MergeTests {
  /// Runs one activation of agent a and lets `raws` find it busy; all of them are parked then.
  private func parked(_ bench: Bench, _ raws: [String]) async throws -> Lease {
    try await bench.push(#"{"agent_id":"a","post_id":"first"}"#)
    let first = try await bench.lease()
    for raw in raws { try await bench.push(raw) }
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().parked == raws.count)
    return first
  }

  @Test func whatWaitsForOneThreadBecomesOneActivationAndEndsWithIt() async throws {
    let bench = try await Bench()
    let raws = [
      #"{"agent_id":"a","activation_id":"x","post_id":"p","notification_ids":["1"],"big":12345678901234567890}"#,
      #"{"agent_id":"a","activation_id":"other","post_id":"q","notification_ids":["2"]}"#,
      #"{"agent_id":"a","post_id":"p","notification_ids":["3","1"],"priority":"high"}"#,
      #"{"agent_id":"a","activation_id":"y","post_id":"p","notification_ids":["4"]}"#,
    ]
    let first = try await parked(bench, raws)
    // "1" is in two of them, which keeps neither back.
    try await bench.queue.finish(first, .done)
    let lease = try await bench.lease()
    #expect(lease.activationID == "x")
    #expect(lease.raw == Array(raws[0].utf8))
    #expect(lease.merged.map(\.raw) == [Array(raws[2].utf8), Array(raws[3].utf8)])
    #expect(lease.merged.last?.id == "y")
    #expect(lease.item.notificationIDs == ["1", "3", "4"])
    #expect(lease.item.priority == .high)
    let status = try await bench.queue.status()
    #expect((status.leased, status.parked, status.counts["merged"]) == (1, 1, 2))
    let shown = try await bench.queue.entry("x")
    #expect(shown?.merged == lease.merged.map(\.id))
    #expect(try await bench.queue.entry("y")?.state == .merged)
    #expect(try await bench.queue.entry("y")?.merged == ["x"])
    // A copy of a merged one is one too many.
    try await bench.push(raws[3])
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().counts["duplicate"] == 1)

    try await bench.queue.finish(lease, .done)
    for id in ["x", "y"] + lease.merged.map(\.id) { #expect(try await bench.queue.entry(id)?.state == .done) }
    #expect(
      try await bench.queue.notificationStates(["1", "3", "4"])
        == ["1": .done(activationID: "x"), "3": .done(activationID: "x"), "4": .done(activationID: "x")])
    // The control: another thread stays by itself.
    let other = try await bench.lease()
    #expect(other.activationID == "other")
    #expect(other.merged.isEmpty)
    try await bench.queue.finish(other, .done)
    #expect(try await bench.queue.status().counts["done"] == 5)
    #expect(try await bench.queue.status().parked == 0)
    let left = try await bench.plain.command(["KEYS", "botburrow:activation:*"]).array?.compactMap(\.string) ?? []
    #expect(left.isEmpty)
  }

  @Test func anInboxIsOneActivationAndExplorationsAreOneToo() async throws {
    let bench = try await Bench()
    let first = try await parked(
      bench,
      [
        #"{"agent_id":"a","notification_ids":["1"]}"#, #"{"agent_id":"a","task_type":"exploration"}"#,
        #"{"agent_id":"a","notification_ids":["2"]}"#, #"{"agent_id":"a","task_type":"discovery"}"#,
      ])
    try await bench.queue.finish(first, .done)
    let inbox = try await bench.lease()
    #expect(inbox.item.notificationIDs == ["1", "2"])
    try await bench.queue.finish(inbox, .done)
    let exploration = try await bench.lease()
    #expect(exploration.item.taskType == .exploration)
    #expect(exploration.merged.count == 1)
    try await bench.queue.finish(exploration, .done)
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().counts["done"] == 5)
  }

  @Test func aWholeInboxStaysWhole() async throws {
    let bench = try await Bench()
    let first = try await parked(bench, [#"{"agent_id":"a","notification_ids":["1"]}"#, #"{"agent_id":"a"}"#])
    try await bench.queue.finish(first, .done)
    #expect(try await bench.lease().item.notificationIDs == [])
  }

  @Test func retriesAndDeadLettersKeepThemTogether() async throws {
    let bench = try await Bench(lease: .milliseconds(300), maxAttempts: 3)
    let raws = ["x", "y"].map {
      #"{"agent_id":"a","activation_id":"\#($0)","post_id":"p","notification_ids":["\#($0)"]}"#
    }
    let first = try await parked(bench, raws)
    try await bench.queue.finish(first, .done)
    var lease = try await bench.lease(runner: "r1")
    #expect(lease.merged.map(\.id) == ["y"])
    try await bench.queue.finish(lease, .retry(reason: "the Hub was\taway", delay: .milliseconds(20)))
    #expect(try await LeaseTests.recoverSomething(bench.queue).retried == 1)
    // Work for the same thread that came meanwhile is not mixed in: what ran once may have been answered under its id.
    try await bench.push(#"{"agent_id":"a","activation_id":"z","post_id":"p","notification_ids":["z"]}"#)
    lease = try await bench.lease(runner: "r2")
    #expect((lease.activationID, lease.merged.map(\.id), lease.attempt) == ("x", ["y"], 1))
    #expect(try await bench.claim() == .empty)
    #expect(try await LeaseTests.recoverSomething(bench.queue).expired == 1)
    // Both heads are there; whichever comes first, the two are together and the third by itself.
    var seen: [[String]] = []
    for _ in 0..<2 {
      let next = try await bench.lease(runner: "r3")
      seen.append([next.activationID] + next.merged.map(\.id))
      if next.activationID == "x" {
        #expect(next.attempt == 2)
        try await bench.queue.finish(next, .retry(reason: "no answer", delay: .zero))
      } else {
        try await bench.queue.finish(next, .done)
      }
    }
    #expect(Set(seen) == [["x", "y"], ["z"]])
    let letter = try #require(try await bench.queue.dead().first)
    #expect((letter.id, letter.merged, letter.attempt) == ("x", ["y"], 3))
    #expect(letter.history.map(\.runner) == ["r1", "r2", "r3"])
    #expect(letter.history.first?.reason == "the Hub was away")
    #expect(letter.history.last?.reason == "no answer")
    #expect(letter.history.allSatisfy { $0.ended >= ($0.claimed ?? .infinity) && $0.ended > 1_700_000_000 })
    #expect(try await bench.queue.entry("x")?.history == letter.history)
    #expect(
      try await bench.queue.notificationStates(["x", "y"])
        == ["x": .dead(activationID: "x"), "y": .dead(activationID: "y")])

    #expect(try await bench.queue.replay("x") == .queued)
    lease = try await bench.lease()
    #expect((lease.activationID, lease.merged.map(\.id), lease.attempt) == ("x", ["y"], 0))
    #expect(lease.item.notificationIDs == ["x", "y"])
    try await bench.queue.finish(lease, .dead(reason: "hopeless"))
    #expect(try await bench.queue.dead().first?.history.count == 4)
    #expect(try await bench.queue.purgeDead(["x"]) == 1)
    #expect(try await bench.queue.entry("y") == nil)
  }

  @Test func aReleasedActivationComesBackWhole() async throws {
    let bench = try await Bench()
    let first = try await parked(
      bench, (0..<3).map { #"{"agent_id":"a","post_id":"p","notification_ids":["\#($0)"]}"# })
    try await bench.queue.finish(first, .done)
    let lease = try await bench.lease()
    try await bench.queue.release(lease)
    #expect(try await bench.length() == 3)
    let again = try await bench.lease(runner: "r2")
    #expect(again.activationID == lease.activationID)
    #expect(Set(again.merged.map(\.id)) == Set(lease.merged.map(\.id)))
    #expect(again.attempt == 0)
  }

  @Test func aPlainConsumerTakesOneItemAndNotThoseBehindIt() async throws {
    let bench = try await Bench()
    let raws = (0..<3).map { #"{"agent_id":"a","activation_id":"id-\#($0)","post_id":"p"}"# }
    let first = try await parked(bench, raws)
    try await bench.queue.finish(first, .done)
    #expect(try await bench.plain.command(["RPOP", RedisArgument(Pool.notification.list)]).string == raws[0])
    let lease = try await bench.lease()
    #expect((lease.activationID, lease.merged.map(\.id)) == ("id-1", ["id-2"]))
  }

  @Test func oneThatCannotBeReadIsTakenOutAndKept() async throws {
    let bench = try await Bench()
    // Lua's reader takes any text for a time, ours does not.
    let first = try await parked(
      bench,
      [
        #"{"agent_id":"a","activation_id":"x","post_id":"p"}"#,
        #"{"agent_id":"a","activation_id":"bad","post_id":"p","created_at":"noon"}"#,
        #"{"agent_id":"a","activation_id":"y","post_id":"p"}"#,
      ])
    try await bench.queue.finish(first, .done)
    let lease = try await bench.lease()
    #expect(lease.merged.map(\.id) == ["y"])
    try await bench.queue.finish(lease, .done)
    #expect(try await bench.queue.dead().map(\.id) == ["bad"])
    #expect(try await bench.queue.entry("y")?.state == .done)
  }

  @Test func oneActivationHasAtMostFiftyItems() async throws {
    let bench = try await Bench()
    let first = try await parked(bench, (0..<70).map { #"{"agent_id":"a","activation_id":"id-\#($0)","post_id":"p"}"# })
    try await bench.queue.finish(first, .done)
    let lease = try await bench.lease()
    #expect(lease.merged.count == 49)
    try await bench.queue.finish(lease, .done)
    #expect(try await bench.lease().merged.count == 19)
  }
}

@Suite struct BreakerTests {
  private func bench(rest: Duration = .seconds(2)) async throws -> (Bench, WorkQueue) {
    let bench = try await Bench()
    var options = WorkQueue.Options()
    options.lease = Bench.long
    options.failuresBeforeRest = 2
    options.rest = rest
    return (bench, WorkQueue(bench.server.url, options: options))
  }
  private func claim(_ queue: WorkQueue) async throws -> Lease? {
    if case .claimed(let lease) = try await queue.claim([.notification], runner: "r", runnerCap: 9, globalCap: 9) {
      return lease
    }
    return nil
  }
  private func fail(_ queue: WorkQueue) async throws {
    let lease = try #require(try await claim(queue))
    try await queue.finish(lease, .retry(reason: "it crashed", delay: .seconds(600)))
  }

  @Test func anAgentThatFailsAgainAndAgainRestsAndItsWorkWaits() async throws {
    let (bench, queue) = try await bench()
    for index in 0..<5 {
      try await bench.push(#"{"agent_id":"a","activation_id":"id-\#(index)","post_id":"\#(index)"}"#)
    }
    try await bench.push(#"{"agent_id":"b"}"#)
    try await fail(queue)
    #expect(try await queue.status().resting == 0)
    try await fail(queue)
    var status = try await queue.status()
    #expect((status.resting, status.onTrial, status.firstResting.map(\.agentID)) == (1, 0, ["a"]))
    #expect(status.firstResting.first?.failures == 2)
    let first = try #require(status.firstResting.first).until
    // Others are served; its own work waits and none is lost.
    let other = try #require(try await claim(queue))
    #expect(other.item.agentID == "b")
    #expect(try await claim(queue) == nil)
    #expect(try await queue.status().parked == 3)
    #expect(try await queue.status().pools[.notification]?.parked == 3)

    // The rest is over: one trial; while it runs the others go on waiting.
    while try await queue.status().resting > 0 { try await queue.recover() }
    status = try await queue.status()
    #expect((status.resting, status.onTrial) == (0, 1))
    let trial = try #require(try await claim(queue))
    #expect(trial.activationID == "id-2")
    #expect(try await claim(queue) == nil)
    // It fails: a longer rest.
    try await queue.finish(trial, .dead(reason: "no key"))
    status = try await queue.status()
    let rest = try #require(status.firstResting.first)
    #expect(rest.failures == 3)
    // It began after the first one's end, and is twice as long.
    #expect(rest.until - first > 3.9)
    #expect(try await claim(queue) == nil)
    while try await queue.status().resting > 0 { try await queue.recover() }
    // It succeeds: closed, and the rest of the work goes on.
    try await queue.finish(try #require(try await claim(queue)), .done)
    status = try await queue.status()
    #expect((status.resting, status.onTrial) == (0, 0))
    #expect(try await claim(queue)?.item.agentID == "a")
    #expect(try await queue.status().counts["rested"] == 2)
  }

  @Test func anOperatorEndsARest() async throws {
    let (bench, queue) = try await bench(rest: Bench.long)
    for index in 0..<3 { try await bench.push(#"{"agent_id":"a","post_id":"\#(index)"}"#) }
    try await fail(queue)
    try await fail(queue)
    #expect(try await claim(queue) == nil)
    #expect(try await queue.endRest(of: "a"))
    #expect(try await !queue.endRest(of: "a"))
    #expect(try await claim(queue)?.item.postID == "2")
  }

  @Test func aDeferralAndALostRunnerAreNotTheAgentsFailures() async throws {
    let (bench, queue) = try await bench()
    for index in 0..<4 { try await bench.push(#"{"agent_id":"a","post_id":"\#(index)"}"#) }
    for _ in 0..<3 {
      try await queue.finish(
        try #require(try await claim(queue)), .deferred(reason: "no supervisor", delay: .seconds(600)))
    }
    #expect(try await queue.status().resting == 0)
    for _ in 0..<2 {
      let lease = try #require(try await claim(queue))
      _ = try await bench.plain.command(["ZADD", "botburrow:leases", "1", RedisArgument(lease.activationID)])
      #expect(try await queue.recover().expired == 1)
    }
    #expect(try await queue.status().resting == 0)
    #expect(try await claim(queue) != nil)
  }
}

@Suite struct TurnTests {
  @Test func aHybridRunnerStarvesNoList() async throws {
    let bench = try await Bench()
    for index in 0..<40 { try await bench.push(#"{"agent_id":"h\#(index)"}"#, .hybrid) }
    for index in 0..<40 { try await bench.push(#"{"agent_id":"n\#(index)"}"#) }
    for index in 0..<40 { try await bench.push(#"{"agent_id":"e\#(index)"}"#, .exploration) }
    var served: [Pool: Int] = [:]
    for _ in 0..<36 {
      let lease = try await bench.lease(Pool.hybrid.served)
      served[lease.pool, default: 0] += 1
      try await bench.queue.finish(lease, .done)
    }
    // Its own list first; each of the others after at most seven claims that passed it over, and one of the other.
    #expect((4...5).contains(served[.notification] ?? 0))
    #expect((4...5).contains(served[.exploration] ?? 0))
    // The control: a list without work is not waited for.
    #expect(try await bench.lease([.hybrid]).pool == .hybrid)
  }

  @Test func runnersThatServeOneListAreNotToldWhatToServe() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"e"}"#, .exploration)
    for index in 0..<20 { try await bench.push(#"{"agent_id":"n\#(index)"}"#) }
    for _ in 0..<20 { #expect(try await bench.lease().pool == .notification) }
    // Nobody counts whom they pass over.
    #expect(try await bench.plain.command(["EXISTS", "botburrow:passed"]).integer == 0)
  }
}

@Suite struct ScaleTests {
  @Test func wantedRunnersCountWhatWaitsAndWhatRuns() {
    func wanted(_ queued: Int, _ leased: Int, _ parked: Int, _ due: Int, _ slots: Int) -> Int {
      WorkStatus.PoolStatus(queued: queued, leased: leased, isPaused: false, parked: parked, dueRetries: due)
        .wantedRunners(slots: slots)
    }
    #expect(wanted(0, 0, 0, 0, 10) == 0)
    // An empty list is no reason to stop a runner that works.
    #expect(wanted(0, 1, 0, 0, 10) == 1)
    #expect(wanted(5, 3, 1, 1, 10) == 1)
    #expect(wanted(5, 3, 1, 2, 10) == 2)
    #expect(wanted(7, 0, 0, 0, 1) == 7)
    #expect(wanted(7, 0, 0, 0, 0) == 7)
  }

  @Test func theFiguresAreByPool() async throws {
    let bench = try await Bench()
    for index in 0..<3 { try await bench.push(#"{"agent_id":"a","post_id":"\#(index)"}"#) }
    try await bench.push(#"{"agent_id":"e"}"#, .exploration)
    let exploration = try await bench.lease([.exploration])
    _ = try await bench.lease()
    #expect(try await bench.claim() == .empty)
    try await bench.queue.finish(exploration, .retry(reason: "away", delay: .milliseconds(1)))
    while try await bench.queue.status().pools[.exploration]?.dueRetries == 0 {}
    let status = try await bench.queue.status()
    #expect(status.pools[.notification]?.parked == 2)
    #expect(status.pools[.notification]?.wantedRunners(slots: 2) == 2)
    #expect(status.pools[.exploration]?.wantedRunners(slots: 2) == 1)
    #expect(status.pools[.hybrid]?.wantedRunners(slots: 2) == 0)
  }

  /// Calls of scripts since the server started.
  private func scripts(_ bench: Bench) async throws -> Int {
    let text = try await bench.plain.command(["INFO", "commandstats"]).string ?? ""
    return text.split(separator: "\r\n").filter { $0.hasPrefix("cmdstat_evalsha:") }
      .compactMap { $0.split(separator: ",").first?.split(separator: "=").last.flatMap { Int($0) } }.reduce(0, +)
  }

  @Test func atSaturationAnEndWakesOneRunnerAndAPushNone() async throws {
    let bench = try await Bench()
    let count = 40
    for index in 0..<count { try await bench.push(#"{"agent_id":"a\#(index)"}"#) }
    let cap = 2
    let busy = [try await bench.lease(), try await bench.lease()]
    let woken = Tally()
    let queues = (0..<count).map { _ in Bench.queue(bench.server) }
    defer { for queue in queues { queue.close() } }
    let runners = queues.enumerated().map { index, queue in
      Task {
        while true {
          let outcome = try await queue.claim([.notification], runner: "w\(index)", runnerCap: 1, globalCap: cap)
          if case .claimed = outcome { return woken.count() }
          _ = try await queue.wait(after: outcome, pools: [.notification], atMost: .seconds(60))
        }
      }
    }
    defer { for runner in runners { runner.cancel() } }
    try await bench.blockedClients(count)
    let before = try await scripts(bench)
    // Pushes find everybody at the bell.
    for index in 0..<20 { try await bench.push(#"{"agent_id":"b\#(index)"}"#) }
    #expect(try await scripts(bench) == before)
    #expect(woken.value == 0)
    // Each end wakes one, which claims: two scripts, whatever the number of those that wait.
    for (index, lease) in busy.enumerated() {
      try await bench.queue.finish(lease, .done)
      while woken.value <= index { await Task.yield() }
    }
    try await bench.blockedClients(count - 2)
    #expect(try await scripts(bench) - before == 4)
  }

  final class Tally: Sendable {
    private let number = Mutex(0)
    var value: Int { number.withLock { $0 } }
    func count() { number.withLock { $0 += 1 } }
  }
}
