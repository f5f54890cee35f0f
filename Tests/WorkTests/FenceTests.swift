import FoundationEssentials
import Redis
import TestSupport
import Testing

@testable import Work

/// Every script that a leader or the holder of a lease alone may have carried out, with a wrong epoch and with a stale token: it says so
/// and changes nothing. The control of each is the same call a moment later, by who may.
@Suite struct FenceTests {
  /// Everything that a leader writes.
  enum LeaderCall: String, CaseIterable, Sendable {
    case enqueue, exploration, scheduleNew, reschedule, unschedule, noteQuiet, takeDue, noteAlerts, renew, resign
    var script: String {
      switch self {
      case .enqueue, .exploration: "enqueue"
      case .scheduleNew, .reschedule, .unschedule, .noteQuiet: "schedule"
      case .takeDue: "take_due"
      case .noteAlerts: "alerts"
      case .renew, .resign: "lead"
      }
    }

    /// Whether it was accepted.
    func make(_ bench: Bench, _ fence: Fence) async throws -> Bool {
      let queue = bench.queue
      func lead(_ what: RedisArgument) async throws -> Bool {
        try await queue.connection.script(Scripts.lead, arguments: [what, RedisArgument(fence.value), 120_000]).integer
          == 1
      }
      switch self {
      case .enqueue:
        let item = LeaderTests.item("x", notifications: ["n1", "n2"])
        return try await queue.enqueue(item, pool: .notification, fence: fence) == .queued
      case .exploration:
        let item = LeaderTests.item("x", task: .exploration)
        return try await queue.enqueue([Proposal(item: item, pool: .exploration, nextDue: 7)], fence: fence).first
          == .queued
      case .scheduleNew: return try await queue.scheduleNew([("new", 5)], fence: fence)
      case .reschedule: return try await queue.reschedule([("due", 6)], fence: fence)
      case .unschedule: return try await queue.unschedule(["due"], fence: fence)
      case .noteQuiet: return try await queue.noteQuiet([("still", 32_503_680_000)], fence: fence)
      case .takeDue: return try await queue.takeDue(1, fence: fence) != nil
      case .noteAlerts: return try await queue.noteAlerts([("lost:r", .zero)], fence: fence) != nil
      case .renew: return try await lead("renew")
      case .resign: return try await lead("resign")
      }
    }
  }

  @Test(arguments: LeaderCall.allCases) func aWrongEpochWritesNothing(_ call: LeaderCall) async throws {
    let bench = try await Bench(server: ["--enable-debug-command", "yes"])
    let first = bench.leader("first")
    let stale = try #require(try await first.campaign())
    #expect(try await bench.queue.scheduleNew([("due", 1)], fence: stale))
    try await first.resign()
    let fence = try #require(try await bench.leader("next").campaign())
    _ = try await bench.plain.command(["PEXPIRE", "coordinator:leader", 60_000])
    let before = try await FullTests.digest(bench)
    // An earlier epoch, one with the leader's own nonce, one that is yet to come, and what is no fence.
    for wrong in [stale.value, "1:next", "3:next", "2:first", "2", "", "2:next "] {
      #expect(try await call.make(bench, Fence(value: wrong)) == false, "\(wrong)")
    }
    #expect(try await FullTests.digest(bench) == before)
    #expect(try await bench.plain.command(["PTTL", "coordinator:leader"]).integer ?? 0 <= 60_000)

    #expect(fence.value == "2:next")
    #expect(try await call.make(bench, fence))
    if call == .renew {
      #expect(try await bench.plain.command(["PTTL", "coordinator:leader"]).integer ?? 0 > 60_000)
    } else {
      #expect(try await FullTests.digest(bench) != before)
    }
  }

  /// Everything that the holder of a lease writes.
  enum LeaseCall: String, CaseIterable, Sendable {
    case beat, done, delivering, retry, deferred, dead, release, reject, store, begin, resend, free
    /// Under a deliverer's lease on an entry of the outbox.
    case step, delivered, later, refused
    var script: String {
      switch self {
      case .beat: "beat"
      case .done, .delivering, .retry, .deferred, .dead, .release: "finish"
      case .reject: "reject"
      case .store: "outbox_store"
      case .begin, .resend, .free: "effect"
      case .step: "outbox_step"
      case .delivered, .later, .refused: "outbox_end"
      }
    }
    var isDelivery: Bool { ["outbox_step", "outbox_end"].contains(script) }

    /// Whether it was accepted; nil: it doesn't say.
    func make(_ bench: Bench, _ lease: Lease) async throws -> Bool? {
      let queue = bench.queue
      let second = Duration.seconds(1)
      func end(_ end: OutboxEnd) async throws -> Bool {
        try await queue.endOutbox("x", token: lease.token, end, [0: .sent]) != .stale
      }
      switch self {
      case .beat: return try await queue.beat(lease)
      case .done: return try await queue.finish(lease, .done)
      case .delivering: return try await queue.finish(lease, .delivering(after: second))
      case .retry: return try await queue.finish(lease, .retry(reason: "r", delay: second))
      case .deferred: return try await queue.finish(lease, .deferred(reason: "r", delay: second))
      case .dead: return try await queue.finish(lease, .dead(reason: "r"))
      case .release: return try await queue.release(lease)
      case .reject:
        let other = try #require(lease.merged.first)
        return try await queue.connection.script(
          Scripts.reject,
          arguments: [
            RedisArgument(lease.activationID), RedisArgument(lease.token), RedisArgument(other.id), "unreadable",
          ]
        ).integer == 1
      case .store: return try await queue.store(OutboxTests.entry(lease, notes: ["n"]), lease: lease) == .stored
      case .begin: return try await queue.beginEffect("x-2", body: [1], lease: lease) == .new
      case .resend: return try await queue.resendEffect("x-1", body: [2], lease: lease)
      case .free:
        try await queue.freeEffect("x-1", lease: lease)
        return nil
      case .step: return try await queue.step("x", token: lease.token, lease: .seconds(15), [0: .sent])
      case .delivered: return try await end(.delivered)
      case .later: return try await end(.later(reason: "away", after: second))
      case .refused: return try await end(.refused(reason: "no"))
      }
    }
  }

  @Test(arguments: LeaseCall.allCases) func aStaleTokenWritesNothing(_ call: LeaseCall) async throws {
    let bench = try await Bench(server: ["--enable-debug-command", "yes"])
    // Two items that wait for their agent become one activation.
    for id in ["before", "x", "y"] {
      try await bench.push(#"{"agent_id":"a","activation_id":"\#(id)","post_id":"12","notification_ids":["n-\#(id)"]}"#)
    }
    let before = try await bench.lease()
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.finish(before, .done))
    var (stale, lease) = try await holders(bench)
    #expect(lease.merged.count == 1 && stale.activationID == lease.activationID && stale.token != lease.token)
    if call.isDelivery {
      #expect(try await bench.queue.store(OutboxTests.entry(lease), lease: lease) == .stored)
      #expect(try await bench.queue.finish(lease, .delivering(after: .zero)))
      for token in ["one", "two"] {
        #expect(try await OutboxTests.claimed(bench, token).map(\.id) == ["x"])
        _ = try await bench.plain.command(["ZADD", "botburrow:outbox", 1, "x"])
      }
      (stale.token, lease.token) = ("one", "two")
    } else {
      #expect(try await bench.queue.beginEffect("x-1", body: [1], lease: lease) == .new)
    }
    let digest = try await FullTests.digest(bench)
    for token in [stale.token, "", "invented"] {
      stale.token = token
      #expect(try await call.make(bench, stale) != true, "\(token)")
    }
    #expect(try await FullTests.digest(bench) == digest)

    #expect(try await call.make(bench, lease) != false)
    #expect(try await FullTests.digest(bench) != digest)
  }

  /// One who died, and who has its work now.
  private func holders(_ bench: Bench) async throws -> (stale: Lease, holder: Lease) {
    let stale = try await bench.lease(runner: "dies")
    _ = try await bench.plain.command(["ZADD", "botburrow:leases", 1, RedisArgument(stale.activationID)])
    #expect(try await bench.queue.recover().expired == 1)
    return (stale, try await bench.lease(runner: "lives"))
  }

  /// A script that compares a fence or a token has its case above.
  @Test func noneIsLeftOut() throws {
    let directory = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/Sources/Work/Scripts"
    var fenced: Set<String> = []
    var leased: Set<String> = []
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name != "common.lua" {
      let text = String(decoding: try Data(contentsOf: URL(filePath: "\(directory)/\(name)")), as: UTF8.self)
      let script = String(name.dropLast(".lua".count))
      if text.contains("is_leader(") { fenced.insert(script) }
      if text.contains("holds(") || text.contains("'token') ~=") || text.contains("record.token ~=") {
        leased.insert(script)
      }
    }
    #expect(fenced == Set(LeaderCall.allCases.map(\.script)))
    #expect(leased == Set(LeaseCall.allCases.map(\.script)))
  }
}
