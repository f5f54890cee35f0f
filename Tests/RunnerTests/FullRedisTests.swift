import Redis
import TestSupport
import Testing
import Work

@testable import Runner

@Suite("A runner whose Redis is full")
struct FullRedisTests {
  @Test("what runs ends, its outbox is delivered, what waits in the lists is done; only new work is refused")
  func goesOn() async throws {
    let filled = Latch()
    let launcher = FakeLauncher { program in
      if program.request.activationID == "x" { await filled.wait() }
      return .init(output: "Hi Ada")
    }
    let running = try await Running(World(launcher, agents: [agent(), agent("other"), agent("third")]), slots: 1)
    for item in [
      #"{"agent_id":"claude-coder-1","post_id":"12","activation_id":"x"}"#,
      #"{"agent_id":"other","post_id":"12","activation_id":"y"}"#,
    ] { try await running.push(item) }
    try await running.during {
      try await running.until("x runs") { launcher.now == 1 }
      _ = try await running.connection.command(["CONFIG", "SET", "maxmemory", "1"])
      let refused = await #expect(throws: RedisError.self) { try await running.push(#"{"agent_id":"other"}"#) }
      #expect(refused?.isFull == true)
      filled.open()
      try await running.until("both done") { try await running.queue.status().counts["done"] == 2 }
      try await running.until("all delivered") { try await running.queue.status().outbox == 0 }
      // Its wait at the empty list is one that looks now and then, and no failure.
      _ = try await running.connection.command(["CONFIG", "SET", "maxmemory", "0"])
      try await running.push(#"{"agent_id":"third","post_id":"12","activation_id":"z"}"#)
      try await running.until("z is done") { try await running.queue.status().counts["done"] == 3 }
      let status = try await running.queue.status()
      #expect((status.leased, status.dead, status.retries) == (0, 0, 0))
    }
    #expect(running.world.hub.state.comments.count == 3)
    #expect(Set(running.world.hub.state.comments.map(\.key)) == ["x-0", "y-0", "z-0"])
    #expect(!running.world.logged.lines.contains { $0.message == "queue not reached" })
  }
}
