import Redis
import Testing
import Work

@testable import Coordinator

@Suite struct ExploreTests {
  @Test func whereNobodyIsOverdueRedisIsAskedButOnce() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    let service = bench.service(["a": Definitions.agent("a", explores: true)])
    let fence = try #require(try await Leader(bench.queue, ttl: .seconds(600)).campaign())
    let plain = RedisConnection(bench.server.url)
    func asked() async throws -> Int {
      _ = try await plain.command(["CONFIG", "RESETSTAT"])
      try await service.explore(fence)
      let lines = try await plain.command(["INFO", "commandstats"]).string?.split(separator: "\r\n") ?? []
      // cmdstat_evalsha:calls=1,usec=…
      let calls = lines.filter { $0.hasPrefix("cmdstat_eval") }.compactMap {
        $0.split { "=,".contains($0) }.dropFirst().first
      }
      return calls.compactMap { Int($0) }.reduce(0, +)
    }
    // Scripts are sent whole the first time.
    _ = try await asked()
    #expect(try await asked() == 1)
    // The control: an overdue one is queued.
    #expect(try await bench.queue.scheduleNew([("a", 1)], fence: fence))
    #expect(try await asked() > 1)
    #expect(try await bench.queue.status().counts["enqueued"] == 1)
  }
}
