import Coordinator
import Redis
import TestSupport
import Testing
import Work

@Suite struct FullRedisTests {
  /// The Hub is where new work waits meanwhile: nothing of it is lost, half queued or queued twice.
  @Test func whatCannotBeQueuedStaysUnreadAndIsQueuedOnceThereIsRoom() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    let plain = RedisConnection(bench.server.url)
    let service = bench.service(["a": Definitions.agent("a")])
    try await bench.running([service]) {
      try await bench.until("it leads") { service.isLeader }
      _ = try await plain.command(["CONFIG", "SET", "maxmemory", "1"])
      bench.hub.change {
        $0.inbox.notifications = [
          DecisionTests.notification("mention", id: "1"), DecisionTests.notification("mention", id: "2"),
          DecisionTests.notification("like", id: "3"),
        ]
      }
      try await bench.until("it is told") { bench.log.count("Redis is full: nothing new is queued") == 1 }
      try await bench.polls(3)
      let status = try await bench.queue.status()
      #expect(status.pools[.notification]?.queued == 0 && status.counts["enqueued"] == nil)
      #expect(try await bench.queue.notificationStates(["1", "2"]).isEmpty)
      // What nobody answers needs no room.
      #expect(Set(bench.hub.state.withLock { $0.read.flatMap { $0 } }) == ["3"])
      // It leads on, and Redis is not taken for one that is away.
      #expect(service.isLeader && service.redisTrouble == nil)

      _ = try await plain.command(["CONFIG", "SET", "maxmemory", "0"])
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      try await bench.polls(3)
      #expect(try await bench.queue.status().counts["enqueued"] == 1)
      #expect(try await bench.lease().item.notificationIDs == ["1", "2"])
    }
    #expect(bench.log.count("Redis is full: nothing new is queued") == 1)
    #expect(bench.log.count("Redis has room again") == 1)
    #expect(bench.log.count("Redis failed") == 0)
  }
}
