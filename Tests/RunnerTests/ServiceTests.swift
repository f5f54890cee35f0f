import Agents
import Hub
import JSON
import Redis
import Synchronization
import TestSupport
import Testing
import Work

@testable import Runner

/// A runner over a real redis-server.
struct Running: Sendable {
  let redis: RedisServer
  let queue: WorkQueue
  let connection: RedisConnection
  let world: World
  let service: RunnerService

  init(
    _ world: World, slots: Int = 2, pool: Pool = .notification, redis: RedisServer? = nil,
    services: RunnerServices? = nil
  ) async throws {
    self.world = world
    if let redis { self.redis = redis } else { self.redis = try await RedisServer() }
    queue = WorkQueue(self.redis.url)
    connection = RedisConnection(self.redis.url)
    var options = RunnerService.Options(
      pool: pool, maxActivations: slots, globalCap: 50, runnerID: ActivationID.random())
    options.recoverEvery = .milliseconds(20)
    service = RunnerService(queue: queue, services: services ?? world.services, options: options)
  }

  func push(_ item: String, list: String = "runner:notification:work") async throws {
    _ = try await connection.command(["LPUSH", RedisArgument(list), RedisArgument(item)])
  }

  /// Looks until a condition holds; a test that waits in vain fails.
  func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let giveUp = ContinuousClock.now + .seconds(60)
    while try await !condition() {
      guard ContinuousClock.now < giveUp else { throw Unexpected("waited in vain: \(what)") }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Runs the service beside a body, stops it, and closes everything.
  func during(grace: Duration = .seconds(10), _ body: () async throws -> Void) async throws {
    let task = Task { await service.run() }
    defer { close() }
    do {
      try await body()
    } catch {
      task.cancel()
      await task.value
      throw error
    }
    await service.stop(grace: grace)
    await task.value
  }

  func close() {
    queue.close()
    connection.close()
  }
}

@Suite("The runner's loop over a real Redis")
struct ServiceTests {
  @Test("an item from outside is answered once, and nothing is left of it")
  func wholeLoop() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi Ada")))
    try await running.during {
      try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12","unknown":12345678901234567890}"#)
      try await running.until("done") { try await running.queue.status().counts["done"] == 1 }
      let status = try await running.queue.status()
      #expect(status.leased == 0)
      #expect(status.dead == 0)
    }
    let comments = running.world.hub.state.comments
    #expect(comments.map(\.content) == ["Hi Ada"])
    #expect(comments.first?.key.hasSuffix("-0") == true)
    #expect(running.world.hub.state.read == ["n1"])
    let metrics = running.world.metrics.exposition()
    for line in [
      #"botburrow_activations_total{agent="claude-coder-1",tool_type="custom",status="success"} 1"#,
      #"botburrow_activation_duration_seconds_count{agent="claude-coder-1",tool_type="custom"} 1"#,
      #"botburrow_tokens_total{agent="claude-coder-1",tool_type="custom",direction="input"} 0"#,
      #"botburrow_active_activations{pool="notification"} 0"#, "botburrow_metrics_misuse_total 0",
    ] { #expect(metrics.contains(line + "\n")) }
  }

  @Test("no more at once than it has places, and all get done")
  func places() async throws {
    let names = (0..<6).map { "bot-\($0)" }
    let launcher = FakeLauncher { _ in
      try await Task.sleep(for: .milliseconds(30))
      return .init(output: "x")
    }
    let running = try await Running(World(launcher, agents: names.map { agent($0) }), slots: 2)
    for name in names { try await running.push(#"{"agent_id":"\#(name)","post_id":"12"}"#) }
    try await running.during {
      try await running.until("all done") { try await running.queue.status().counts["done"] == 6 }
    }
    #expect(launcher.most == 2)
    #expect(running.world.hub.state.comments.count == 6)
  }

  @Test("a failed run comes again under the same id; what can't be mended goes to the dead letters with its sentence")
  func failures() async throws {
    let launcher = FakeLauncher { _ in .init(exit: .exited(code: 7)) }
    let running = try await Running(World(launcher))
    try await running.push(#"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"12"}"#)
    try await running.push(#"{"activation_id":"a-2","agent_id":"ghost","post_id":"12"}"#)
    try await running.during {
      try await running.until("both seen") {
        let status = try await running.queue.status()
        return status.dead == 1 && status.retries == 1
      }
      let letter = try #require(try await running.queue.dead().first)
      #expect(letter.id == "a-2")
      #expect(
        letter.reason
          == "the definition of agent ghost can't be used: there is no agent 'ghost': /srv/agents has no agents/ghost/config.yaml"
      )
    }
    #expect(running.world.hub.state.comments.isEmpty)
  }

  @Test("a runner that lost its lease ends its sandbox and says nothing; the next one answers under the same key")
  func lostLease() async throws {
    let cancelled = Latch()
    let stuck = FakeLauncher { _ in
      do {
        try await Task.sleep(for: .seconds(60))
      } catch {
        cancelled.open()
        throw error
      }
      return .init(output: "too late")
    }
    let redis = try await RedisServer()
    var options = WorkQueue.Options()
    options.lease = .milliseconds(300)
    let first = try await Running(World(stuck), redis: redis)
    let queue = WorkQueue(redis.url, options: options)
    var runner = RunnerService.Options(pool: .notification, maxActivations: 1, globalCap: 9, runnerID: "stuck")
    runner.recoverEvery = .seconds(60)
    let service = RunnerService(queue: queue, services: first.world.services, options: runner)
    let task = Task { await service.run() }
    try await first.push(#"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"12"}"#)
    try await first.until("claimed") { stuck.now == 1 }

    // As if the lease had run out while this runner was stopped.
    // Its heartbeat may come between the two and renew it.
    var expired = 0
    while expired == 0 {
      _ = try await first.connection.command(["ZADD", "botburrow:leases", "1", "a-1"])
      expired = try await first.queue.recover().expired
    }
    #expect(expired == 1)
    let lease = try #require(try await first.claimed())
    #expect(lease.activationID == "a-1")
    await cancelled.wait()
    await service.stop(grace: .seconds(5))
    await task.value
    #expect(first.world.hub.state.comments.isEmpty)
    #expect(first.world.logged.lines.contains { $0.metadata["status"] == "lost" })
    #expect(try await first.queue.beat(lease))
    queue.close()
    first.close()
  }

  @Test("a runner that is told to stop gives back what it can't end, uncounted")
  func shutdown() async throws {
    let stuck = FakeLauncher { _ in
      try await Task.sleep(for: .seconds(60))
      return .init(output: "never")
    }
    let running = try await Running(World(stuck))
    try await running.push(#"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"12"}"#)
    let task = Task { await running.service.run() }
    try await running.until("claimed") { stuck.now == 1 }
    await running.service.stop(grace: .zero)
    await task.value
    #expect(try await running.queue.status().pools[.notification]?.queued == 1)
    let lease = try #require(try await running.claimed())
    #expect(lease.activationID == "a-1")
    #expect(lease.attempt == 0)
    #expect(running.world.hub.state.comments.isEmpty)
    running.close()
  }

  @Test("a runner that is told to stop lets what runs come to its end")
  func drain() async throws {
    let go = Latch()
    let launcher = FakeLauncher { _ in
      await go.wait()
      return .init(output: "Done")
    }
    let running = try await Running(World(launcher))
    try await running.during {
      try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12"}"#)
      try await running.until("claimed") { launcher.now == 1 }
      Task {
        while !running.service.isStopping { await Task.yield() }
        go.open()
      }
    }
    #expect(running.world.hub.state.comments.map(\.content) == ["Done"])
  }

  @Test("a task that is cancelled stops as well, and loses nothing")
  func cancelled() async throws {
    let running = try await Running(World(FakeLauncher(says: "x")))
    let task = Task { await running.service.run() }
    try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12"}"#)
    try await running.until("done") { try await running.queue.status().counts["done"] == 1 }
    task.cancel()
    await task.value
    #expect(running.service.active == 0)
    running.close()
  }

  @Test("Redis that goes and comes back is waited for")
  func redisRestart() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi")))
    try await running.during {
      try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12"}"#)
      try await running.until("first") { running.world.hub.state.activated.count == 1 }
      running.redis.kill9()
      try await running.redis.start()
      try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12"}"#)
      try await running.until("second") { running.world.hub.state.activated.count == 2 }
    }
    #expect(Set(running.world.hub.state.comments.map(\.key)).count == 2)
  }
}

extension Running {
  /// A claim of another runner.
  func claimed() async throws -> Lease? {
    guard case .claimed(let lease) = try await queue.claim([.notification], runner: "other", runnerCap: 9, globalCap: 9)
    else { return nil }
    return lease
  }
}
