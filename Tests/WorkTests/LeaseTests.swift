import Redis
import TestSupport
import Testing
import Work

@Suite struct LeaseTests {
  /// Waits until recovery puts something back, as runners do every second.
  static func recoverSomething(_ queue: WorkQueue) async throws -> WorkQueue.Recovery {
    let nothing = WorkQueue.Recovery(expired: 0, retried: 0, dead: 0)
    let limit = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < limit {
      let recovery = try await queue.recover()
      if recovery != nothing { return recovery }
    }
    return nothing
  }

  @Test func anExpiredLeaseComesBackWithTheSameIdAndTheOldTokenIsRefused() async throws {
    let bench = try await Bench(lease: .milliseconds(100))
    // No id of its own: the one made at the first claim must come back without touching the bytes.
    let raw = #"{"agent_id":"a","post_id":"p","notification_ids":["n"]}"#
    try await bench.push(raw)
    let first = try await bench.lease()
    #expect(try await bench.queue.beat(first))
    #expect(try await bench.claim() == .empty)
    #expect(
      try await Self.recoverSomething(bench.queue) == WorkQueue.Recovery(expired: 1, retried: 0, dead: 0))
    // Once is enough.
    #expect(try await bench.queue.recover() == WorkQueue.Recovery(expired: 0, retried: 0, dead: 0))
    #expect(try await bench.length() == 1)
    #expect(try await bench.queue.beat(first) == false)

    let second = try await bench.lease(runner: "r2")
    #expect(second.activationID == first.activationID)
    #expect(second.attempt == 1)
    #expect(second.raw == Array(raw.utf8))
    #expect(second.token != first.token)
    #expect(try await bench.queue.beat(first) == false)
    #expect(try await bench.queue.finish(first, .done) == false)
    #expect(try await bench.queue.finish(first, .dead(reason: "late")) == false)
    #expect(try await bench.queue.release(first) == false)
    #expect(try await bench.queue.status().leased == 1)
    #expect(try await bench.queue.finish(second, .done))
    // A reply that was lost may be asked for again.
    #expect(try await bench.queue.finish(second, .done))
    #expect(try await bench.queue.status().counts["done"] == 1)
    #expect(try await bench.queue.dead().isEmpty)
  }

  @Test func aLeaseWhoseRecordWasRemovedCountsForNobody() async throws {
    let bench = try await Bench(lease: .milliseconds(50))
    try await bench.queue.register(RegistryTests.runner("r1"), up: .zero)
    for agent in ["a", "b"] { try await bench.push(#"{"agent_id":"\#(agent)","activation_id":"\#(agent)"}"#) }
    _ = try await bench.lease()
    _ = try await bench.plain.command(["DEL", "botburrow:activation:a"])
    #expect(try await bench.claim(runnerCap: 1) == .full)
    let limit = ContinuousClock.now + .seconds(10)
    while try await bench.queue.status().leased > 0, ContinuousClock.now < limit { try await bench.queue.recover() }
    #expect(try await bench.queue.status().pools[.notification]?.leased == 0)
    guard case .claimed(let lease) = try await bench.claim(runnerCap: 1) else {
      Issue.record("it counts for its runner still")
      return
    }
    #expect(lease.activationID == "b")
  }

  @Test func anExpiredLeaseGoesToTheHead() async throws {
    let bench = try await Bench(lease: .milliseconds(50))
    for agent in ["old", "young"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    #expect(try await bench.lease().item.agentID == "old")
    _ = try await Self.recoverSomething(bench.queue)
    #expect(try await bench.lease().item.agentID == "old")
  }

  @Test func twoRecoveriesAtOncePutBackOnce() async throws {
    let bench = try await Bench(lease: .milliseconds(1))
    let other = Bench.queue(bench.server)
    for index in 0..<50 { try await bench.push(#"{"agent_id":"a\#(index)"}"#) }
    for _ in 0..<50 { _ = try await bench.lease() }
    async let one = Self.recoverSomething(bench.queue)
    async let two = Self.recoverSomething(other)
    while try await bench.queue.status().leased > 0 { try await bench.queue.recover() }
    _ = try await bench.plain.command(["SET", "x", "1"])
    #expect(try await bench.length() == 50)
    #expect(try await bench.queue.status().counts["expired"] == 50)
    // The two may have found nothing left and would go on looking.
    try await bench.push(#"{"agent_id":"last"}"#)
    while try await bench.queue.status().counts["expired"] ?? 0 < 52 {
      if case .claimed = try await bench.claim() {}
      try await bench.queue.recover()
    }
    _ = try await (one, two)
  }

  @Test func theLastAttemptGoesToTheDeadLetters() async throws {
    let bench = try await Bench(lease: .milliseconds(20), maxAttempts: 2)
    try await bench.push(#"{"agent_id":"a","activation_id":"x","notification_ids":["n"]}"#)
    #expect(try await bench.lease(runner: "r9").attempt == 0)
    #expect(try await Self.recoverSomething(bench.queue).expired == 1)
    #expect(try await bench.lease(runner: "r9").attempt == 1)
    #expect(try await Self.recoverSomething(bench.queue).dead == 1)
    let dead = try await bench.queue.dead()
    #expect(dead.map(\.id) == ["x"])
    #expect(
      dead.first?.reason == "the lease expired in attempt 2 of 2: runner 'r9' stopped or lost its connection")
    #expect(dead.first?.agentID == "a")
    #expect(dead.first?.attempt == 2)
    #expect(try await bench.queue.notificationStates(["n", "m"]) == ["n": .dead(activationID: "x")])
    #expect(try await bench.claim() == .empty)
  }

  @Test func aRetryWaitsForItsTimeAndKeepsItsId() async throws {
    let bench = try await Bench(maxAttempts: 3)
    try await bench.push(#"{"agent_id":"a"}"#)
    let first = try await bench.lease()
    #expect(try await bench.queue.finish(first, .retry(reason: "the Hub was away", delay: .milliseconds(150))))
    #expect(try await bench.queue.status().retries == 1)
    #expect(try await bench.claim() == .empty)
    #expect(try await Self.recoverSomething(bench.queue).retried == 1)
    let second = try await bench.lease()
    #expect(second.activationID == first.activationID)
    #expect(second.attempt == 1)
    #expect(try await bench.queue.finish(second, .retry(reason: "again", delay: .zero)))
    let third = try await bench.lease()
    #expect(try await bench.queue.finish(third, .retry(reason: "the Hub said no three times", delay: .zero)))
    #expect(try await bench.queue.dead().first?.reason == "the Hub said no three times")
    #expect(try await bench.queue.status().retries == 0)
  }

  @Test func whatIsDeferredWaitsAndCountsNoAttempt() async throws {
    let bench = try await Bench(maxAttempts: 2)
    try await bench.push(#"{"agent_id":"a"}"#)
    var lease = try await bench.lease()
    let id = lease.activationID
    for _ in 0..<4 {
      #expect(try await bench.queue.finish(lease, .deferred(reason: "no supervisor", delay: .milliseconds(20))))
      #expect(try await bench.claim() == .empty)
      #expect(try await Self.recoverSomething(bench.queue).retried == 1)
      lease = try await bench.lease()
      #expect(lease.activationID == id)
      #expect(lease.attempt == 0)
    }
    #expect(try await bench.queue.dead().isEmpty)
  }

  @Test func aReleasedItemComesBackFirstAndCountsNoAttempt() async throws {
    let bench = try await Bench()
    for agent in ["a", "b"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    let lease = try await bench.lease()
    #expect(try await bench.queue.release(lease))
    let again = try await bench.lease(runner: "r2")
    #expect(again.activationID == lease.activationID)
    #expect(again.attempt == 0)
  }

  @Test func workSurvivesRedisKilledAndRestarted() async throws {
    let bench = try await Bench()
    for index in 0..<3 { try await bench.push(#"{"agent_id":"a\#(index)"}"#) }
    let lease = try await bench.lease()
    let waiter = Bench.queue(bench.server)
    let waiting = Task { try await waiter.wait(after: .empty, pools: [.exploration], atMost: .seconds(300)) }
    try await bench.blockedClients(1)
    bench.server.kill9()
    let error = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(error?.isTransient == true)
    // `finish` is patient: it is asked while Redis is away.
    let finishing = Task { try await bench.queue.finish(lease, .done) }
    let beat = await #expect(throws: RedisError.self) { try await bench.queue.beat(lease) }
    #expect(beat?.isTransient == true)
    try await bench.server.start()
    #expect(try await finishing.value)
    let status = try await bench.queue.status()
    #expect(status.pools[.notification]?.queued == 2)
    #expect((status.leased, status.counts["done"]) == (0, 1))
    let next = try await bench.lease()
    #expect(next.item.agentID == "a1")
  }
}

@Suite struct PatienceTests {
  /// A login that is wrong for a while, as after a start with an old ACL file: nothing that ended is given up for it.
  @Test func whatEndedIsToldOnceTheLoginIsPutRight() async throws {
    let bench = try await Bench()
    let user: [RedisArgument] = ["ACL", "SETUSER", "burrow", "on", "~*", "&*", "+@all"]
    _ = try await bench.plain.command(user + [">old"])
    var url = bench.server.url
    (url.user, url.password) = ("burrow", "old")
    var options = WorkQueue.Options()
    options.lease = Bench.long
    options.finishPatience = .seconds(60)
    let queue = WorkQueue(url, options: options)
    defer { queue.close() }
    try await bench.push(#"{"agent_id":"a"}"#)
    guard case .claimed(let lease) = try await queue.claim([.notification], runner: "r", runnerCap: 9, globalCap: 9)
    else { throw TestServerError("claimed nothing") }
    // Its connections end with it.
    _ = try await bench.plain.command(["ACL", "DELUSER", "burrow"])
    let finishing = Task { try await queue.finish(lease, .done) }
    // It has been turned away.
    let limit = ContinuousClock.now + .seconds(20)
    func refusals() async throws -> Int { try await bench.plain.command(["ACL", "LOG"]).array?.count ?? 0 }
    while try await refusals() == 0, ContinuousClock.now < limit {}
    #expect(try await refusals() > 0)
    // The control: what is asked but once is told at once.
    let error = await #expect(throws: RedisError.self) { try await queue.beat(lease) }
    #expect(error?.kind == .unusable)
    _ = try await bench.plain.command(user + [">old"])
    #expect(try await finishing.value)
    #expect(try await bench.queue.status().counts["done"] == 1)
  }
}

@Suite struct WaitTests {
  @Test func aPushWakesWhoeverWaits() async throws {
    let bench = try await Bench()
    let waiting = Task { try await bench.queue.wait(after: .empty, pools: Pool.hybrid.served, atMost: .seconds(300)) }
    try await bench.blockedClients(3)
    try await bench.push(#"{"agent_id":"a"}"#, .exploration)
    #expect(try await waiting.value)
    #expect(try await bench.lease(Pool.hybrid.served).pool == .exploration)
    #expect(try await !bench.queue.wait(after: .empty, pools: [.notification], atMost: .milliseconds(20)))
  }

  @Test func waitingChangesNoOrder() async throws {
    let bench = try await Bench()
    for agent in ["1", "2", "3"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    for _ in 0..<5 { #expect(try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(5))) }
    var agents: [String] = []
    for _ in 0..<3 { agents.append(try await bench.lease().item.agentID) }
    #expect(agents == ["1", "2", "3"])
  }

  @Test func aPlainConsumerBesideOursGetsItsTurn() async throws {
    let bench = try await Bench()
    let ours = Task { try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(300)) }
    try await bench.blockedClients(1)
    let peer = RedisConnection(bench.server.url)
    let theirs = Task {
      try await peer.blockingCommand(["BRPOP", RedisArgument(Pool.notification.list), "300"], wait: .seconds(300))
    }
    try await bench.blockedClients(2)
    try await bench.push(#"{"agent_id":"a"}"#)
    // Ours stood first in line, was woken and took nothing; the peer got the item whole.
    #expect(try await ours.value)
    #expect(try await theirs.value.array?.last?.string == #"{"agent_id":"a"}"#)
    #expect(try await bench.claim() == .empty)
  }

  @Test func cancellingEndsTheWaitAtOnceAndItMayBeginAgain() async throws {
    let bench = try await Bench()
    let waiting = Task { try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(300)) }
    try await bench.blockedClients(1)
    let start = ContinuousClock.now
    waiting.cancel()
    let error = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(error?.kind == .cancelled)
    #expect(ContinuousClock.now - start < .seconds(30))
    let again = Task { try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(300)) }
    try await bench.push(#"{"agent_id":"a"}"#)
    #expect(try await again.value)
  }

  @Test func theEndOfAnActivationWakesOneWhoFoundTheSystemFull() async throws {
    let bench = try await Bench()
    for agent in ["a", "b"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    let lease = try await bench.lease()
    #expect(try await bench.claim(runner: "r2", globalCap: 1) == .full)
    let other = Bench.queue(bench.server)
    let waiting = Task { try await other.wait(after: .full, pools: [.notification], atMost: .seconds(300)) }
    try await bench.blockedClients(1)
    try await bench.queue.finish(lease, .done)
    #expect(try await waiting.value)
    guard case .claimed(let next) = try await bench.claim(runner: "r2", globalCap: 1) else {
      Issue.record("nothing claimed")
      return
    }
    #expect(next.item.agentID == "b")
    // The ring was taken; the next waits out its time.
    #expect(try await !other.wait(after: .full, pools: [.notification], atMost: .milliseconds(20)))
  }

  @Test func closingEndsTheWait() async throws {
    let bench = try await Bench()
    let waiting = Task { try await bench.queue.wait(after: .empty, pools: [.notification], atMost: .seconds(300)) }
    try await bench.blockedClients(1)
    bench.queue.close()
    let error = await #expect(throws: RedisError.self) { try await waiting.value }
    #expect(error?.kind == .closed)
  }
}
