import Redis
import Synchronization
import TestSupport
import Testing
import Work

/// Repeats from its seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite struct ChaosTests {
  /// What happened, as the runners saw it.
  final class Tally: Sendable {
    private let ended = Mutex<[String: [String]]>([:])
    private let drops = Mutex(0)
    private let over = Mutex(false)
    var done: Int { ended.withLock { $0.count } }
    var dropped: Int { drops.withLock { $0 } }
    var isOver: Bool { over.withLock { $0 } }
    /// Posts that ended more than once: by which activations, in which attempts.
    var repeated: [String: [String]] { ended.withLock { $0.filter { $0.value.count > 1 } } }
    func missing(of count: Int) -> [String] {
      ended.withLock { ended in (0..<count).map { "\($0)" }.filter { ended[$0] == nil } }
    }
    func end(_ lease: Lease) {
      ended.withLock {
        $0[lease.item.postID ?? "", default: []].append(
          "\(lease.activationID) \(lease.attempt) \(lease.token) \(lease.merged.count)")
      }
    }
    func drop() { drops.withLock { $0 += 1 } }
    func finish() { over.withLock { $0 = true } }
  }

  /// Runners that drop every fourth item on the floor and a Redis that is killed again and again: every item ends once.
  @Test func nothingIsLostOrDoneTwiceWhileEverythingDies() async throws {
    // With `everysec` a killed Redis may forget the last second, what was done included: that work is done again, as it must.
    let bench = try await Bench(lease: .milliseconds(150), maxAttempts: 100, server: ["--appendfsync", "always"])
    let count = 300
    for index in 0..<count {
      // Two of three carry no id of their own; ten agents, so that items are parked too.
      let id = index % 3 == 0 ? #","activation_id":"id-\#(index)""# : ""
      try await bench.push(#"{"agent_id":"a\#(index % 10)","post_id":"\#(index)"\#(id)}"#)
    }
    let tally = Tally()

    try await withThrowingTaskGroup(of: Void.self) { group in
      for runner in 0..<4 {
        group.addTask {
          var chance = SeededGenerator(state: UInt64(runner))
          let queue = Bench.queue(bench.server, lease: .milliseconds(150), maxAttempts: 100)
          defer { queue.close() }
          while !tally.isOver {
            do throws(RedisError) {
              _ = try await queue.recover()
              let outcome = try await queue.claim([.notification], runner: "r\(runner)", runnerCap: 3, globalCap: 8)
              guard case .claimed(let lease) = outcome else {
                try await queue.wait(after: outcome, pools: [.notification], atMost: .milliseconds(20))
                continue
              }
              if chance.next() % 4 == 0 {
                tally.drop()
                continue
              }
              if try await queue.finish(lease, .done) { tally.end(lease) }
            } catch {
              guard error.isTransient else {
                tally.finish()
                throw error
              }
            }
          }
        }
      }
      group.addTask {
        for part in 1...5 {
          while tally.done < part * count / 7, !tally.isOver { try await Task.sleep(for: .milliseconds(2)) }
          bench.server.kill9()
          do { try await bench.server.start() } catch {
            tally.finish()
            throw error
          }
        }
        let limit = ContinuousClock.now + .seconds(60)
        while tally.done < count, !tally.isOver, ContinuousClock.now < limit {
          try await Task.sleep(for: .milliseconds(5))
        }
        tally.finish()
      }
      try await group.waitForAll()
    }
    #expect(
      tally.missing(of: count) == [],
      "see docs/queue.md, 'A torn transaction', where Redis was killed twice within a moment")
    #expect(tally.repeated == [:])
    #expect(tally.dropped > 20)
    let status = try await bench.queue.status()
    #expect((status.leased, status.parked, status.retries, status.dead) == (0, 0, 0, 0))
    #expect(status.pools[.notification]?.queued == 0)
    #expect(status.counts["done"] == count)
  }
}
