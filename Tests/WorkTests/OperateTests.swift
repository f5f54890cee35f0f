import Redis
import TestSupport
import Testing
import Work

@Suite struct OperateTests {
  private func bury(_ bench: Bench, _ json: String, reason: String = "hopeless") async throws -> Lease {
    try await bench.push(json)
    let lease = try await bench.lease()
    try await bench.queue.finish(lease, .dead(reason: reason))
    return lease
  }

  @Test func listsAndShowsWhatWaitsAndRuns() async throws {
    let bench = try await Bench()
    for index in 0..<4 { try await bench.push(#"{"agent_id":"a\#(index)","activation_id":"id-\#(index)"}"#) }
    let first = try await bench.lease()
    let second = try await bench.lease()
    try await bench.push(#"{"agent_id":"a0","activation_id":"beside"}"#)
    try await bench.queue.finish(second, .retry(reason: "the model was away", delay: .seconds(600)))
    #expect(try await bench.lease().activationID == "id-2")

    #expect(try await bench.queue.entries(.queued).map(\.id) == ["id-3", "beside"])
    #expect(try await bench.queue.entries(.queued, from: 1, limit: 5).map(\.id) == ["beside"])
    #expect(try await bench.queue.entries(.queued, from: 2).isEmpty)
    #expect(try await bench.queue.entries(.queued, limit: 0).isEmpty)
    let leased = try await bench.queue.entries(.leased)
    #expect(leased.map(\.id) == ["id-0", "id-2"])
    #expect(leased.map(\.runner) == ["r1", "r1"])
    let retry = try await bench.queue.entries(.retry)
    #expect(retry.map(\.id) == ["id-1"])
    #expect(retry.first?.reason == "the model was away")
    #expect(retry.first?.attempt == 1)

    #expect(try await bench.queue.entry("id-0")?.state == .leased)
    #expect(try await bench.queue.entry("id-1")?.state == .retry)
    let waiting = try await bench.queue.entry("beside")
    #expect(waiting?.state == .queued)
    #expect(waiting?.raw == Array(#"{"agent_id":"a0","activation_id":"beside"}"#.utf8))
    #expect(try await bench.lease().activationID == "id-3")
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.entries(.parked).map(\.id) == ["beside"])
    #expect(try await bench.queue.entry("beside")?.state == .parked)
    try await bench.queue.finish(first, .done)
    #expect(try await bench.queue.entry("id-0")?.state == .done)
    #expect(try await bench.queue.entry("nobody") == nil)
  }

  @Test func aDeadLetterIsTriedAgainFromItsFirstAttempt() async throws {
    let bench = try await Bench()
    let raw = #"{"agent_id":"a1","activation_id":"x","attempt":3,"notification_ids":["n"],"big":12345678901234567890}"#
    _ = try await bury(bench, raw)
    #expect(try await bench.queue.entry("x")?.reason == "hopeless")
    #expect(try await bench.queue.replay("x") == .queued)
    #expect(try await bench.queue.replay("x") == .known)
    #expect(try await bench.queue.status().dead == 0)
    #expect(try await bench.queue.notificationStates(["n"]) == ["n": .waiting(activationID: "x")])
    let lease = try await bench.lease()
    #expect(lease.activationID == "x")
    #expect(lease.attempt == 0)
    #expect(lease.raw == Array(raw.utf8))
    try await bench.queue.finish(lease, .done)
    #expect(try await bench.queue.replay("x") == .known)
    #expect(try await bench.queue.replay("nobody") == .unknown)
  }

  @Test func aDeadLetterWithoutAnIDKeepsTheOneItWasGiven() async throws {
    let bench = try await Bench()
    let dead = try await bury(bench, #"{"agent_id":"a1"}"#)
    #expect(try await bench.queue.replay(dead.activationID) == .queued)
    #expect(try await bench.lease().activationID == dead.activationID)
  }

  @Test func theSameNonsenseThreeTimesIsThreeLetters() async throws {
    let bench = try await Bench()
    for _ in 0..<3 { try await bench.push("not JSON") }
    // One claim meets them all, in one and the same millisecond.
    #expect(try await bench.claim() == .empty)
    let dead = try await bench.queue.dead()
    #expect(dead.map(\.raw) == Array(repeating: Array("not JSON".utf8), count: 3))
    #expect(Set(dead.map(\.id)).count == 3)
    #expect(try await bench.queue.status().dead == 3)
  }

  @Test func theUnreadableStaysDead() async throws {
    let bench = try await Bench()
    try await bench.push("not JSON")
    #expect(try await bench.claim() == .empty)
    let id = try #require(try await bench.queue.dead().first?.id)
    #expect(try await bench.queue.replay(id) == .unreadable)
    #expect(try await bench.queue.status().dead == 1)
    #expect(try await bench.length() == 0)
    #expect(try await bench.queue.purgeDead([id, "nobody"]) == 1)
    #expect(try await bench.queue.status().dead == 0)
  }

  @Test func aRetryIsBroughtForward() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a1","activation_id":"x"}"#)
    try await bench.queue.finish(try await bench.lease(), .retry(reason: "away", delay: .seconds(600)))
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.replay("x") == .queued)
    let lease = try await bench.lease()
    #expect(lease.activationID == "x")
    // It is the second attempt all the same.
    #expect(lease.attempt == 1)
  }

  @Test func aPurgeTakesTheListAndNotWhatRuns() async throws {
    let bench = try await Bench()
    for index in 0..<1200 {
      try await bench.push(
        #"{"agent_id":"a\#(index)","activation_id":"id-\#(index)","notification_ids":["n\#(index)"]}"#)
    }
    let running = try await bench.lease()
    try await bench.push(#"{"agent_id":"e1"}"#, .exploration)
    #expect(try await bench.queue.purgeList(.notification, atMost: 10) == 10)
    #expect(try await bench.queue.entries(.queued, limit: 1).first?.id == "id-11")
    #expect(try await bench.queue.purgeList(.notification, atMost: 5000) == 1189)
    #expect(try await bench.length() == 0)
    #expect(try await bench.length(.exploration) == 1)
    #expect(try await bench.queue.beat(running))
    #expect(try await bench.queue.status().counts["purged"] == 1199)
  }

  @Test func whatWasPurgedIsNotQueuedAgainByItself() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let item = WorkItem(activationID: "x", agentID: "a1", taskType: .notification, notificationIDs: ["n"])
    #expect(try await bench.queue.enqueue(item, pool: .notification, fence: fence) == .queued)
    #expect(try await bench.queue.purgeList(.notification, atMost: 1) == 1)
    #expect(try await bench.queue.notificationStates(["n"]) == ["n": .dead(activationID: "x")])
    let other = WorkItem(activationID: "y", agentID: "a1", taskType: .notification, notificationIDs: ["n"])
    #expect(try await bench.queue.enqueue(other, pool: .notification, fence: fence) == .duplicate)
    // An agent whose exploration was thrown away may explore again.
    let exploration = WorkItem(activationID: "e", agentID: "a2", taskType: .exploration)
    #expect(try await bench.queue.enqueue(exploration, pool: .exploration, fence: fence) == .queued)
    #expect(try await bench.queue.enqueue(exploration, pool: .exploration, fence: fence) == .duplicate)
    #expect(try await bench.queue.purgeList(.exploration, atMost: 1) == 1)
    #expect(try await bench.queue.enqueue(exploration, pool: .exploration, fence: fence) == .queued)
  }

  @Test func allDeadLettersArePurgedFromTheOldest() async throws {
    let bench = try await Bench()
    for index in 0..<3 { _ = try await bury(bench, #"{"agent_id":"a","activation_id":"id-\#(index)"}"#) }
    #expect(try await bench.queue.purgeDead(atMost: 2) == 2)
    #expect(try await bench.queue.dead().map(\.id) == ["id-2"])
    #expect(try await bench.queue.purgeDead(atMost: 100) == 1)
    #expect(try await bench.queue.status().dead == 0)
  }
}
