import Configuration
import Gateway
import ModelStandIn
import Synchronization
import TestSupport
import Testing
import Work

@testable import ModelGateway
@testable import Runner

@Suite("How far an activation is")
struct ProgressTests {
  @Test("steps, and how long nothing happened")
  func steps() {
    let manual = ManualTime()
    let progress = ActivationProgress(now: manual.time.now)
    manual.advance(.seconds(2))
    #expect(progress.look() == LiveState(step: .prepare, inStep: .seconds(2), idle: .seconds(2)))
    progress.starts(nil, timeLimit: .seconds(60))
    manual.advance(.seconds(1))
    let seen = Mutex<[WatchEvent]>([])
    let onlooker = progress.onlooker { event in seen.withLock { $0.append(event) } }
    onlooker(.started(profile: "p"))
    manual.advance(.seconds(5))
    onlooker(.said("words of others are no progress"))
    var expected = LiveState(step: .run, inStep: .seconds(5), idle: .seconds(5))
    expected.timeLimit = .seconds(60)
    #expect(progress.look() == expected)
    onlooker(
      .tool(
        AuditRecord(
          activationID: "a", agentID: "b", server: "hub", tool: "t", argumentsHash: "", status: .ok, milliseconds: 1,
          bytes: 1)))
    manual.advance(.seconds(1))
    expected.inStep = .seconds(6)
    expected.idle = .seconds(1)
    #expect(progress.look() == expected)
    // The step that it is in is no news.
    progress.enter(.run)
    #expect(progress.look() == expected)
    // Whoever looks on hears everything.
    #expect(seen.withLock { $0.count } == 3)
  }

  @Test("a call of the model counts as long as it is under way, and once more when it is over")
  func modelCalls() throws {
    let manual = ManualTime()
    let progress = ActivationProgress(now: manual.time.now)
    let provider = ModelProvider(name: "anthropic", apiBase: "http://127.0.0.1:1", dialects: [.anthropic], key: "k")
    let definition = agent { $0.brain.model = "m" }.definition
    let choice = try #require(try ModelChoice.of(definition, providers: ["anthropic": provider]))
    let session = ModelSession(activationID: "a", agentID: "b", token: "t", choice: choice, maxTokens: nil)
    progress.starts(session, timeLimit: nil)
    func idle(after duration: Duration) -> Duration {
      manual.advance(duration)
      return progress.look().idle
    }
    #expect(idle(after: .seconds(50)) == .seconds(50))
    #expect(session.enter())
    #expect(idle(after: .seconds(50)) == .zero)
    session.leave()
    #expect(idle(after: .seconds(10)) == .seconds(10))
    session.settle(
      ModelCallRecord(
        activationID: "a", agentID: "b", provider: "anthropic", model: "m", path: "/", outcome: .ok, status: 200,
        requestBytes: 1), reservation: 0)
    #expect(idle(after: .seconds(10)) == .zero)
    #expect(idle(after: .seconds(10)) == .seconds(10))
    #expect(progress.look().modelCalls == 1)
  }

  @Test("a step is news until it was looked at")
  func news() async {
    let progress = ActivationProgress(now: { .now })
    await progress.untilNews()
    _ = progress.look()
    let waiting = Task { await progress.untilNews() }
    progress.enter(.start)
    await waiting.value
    // Told by nobody yet.
    await progress.untilNews()
    _ = progress.look()
    let inVain = Task { await progress.untilNews() }
    inVain.cancel()
    await inVain.value
  }

  @Test("news bring a beat before its time, and no sooner than a second after the last")
  func earlyBeats() async {
    let slept = Mutex<[Duration]>([])
    let beats = Mutex(0)
    let news = Mutex(3)
    let silent = Latch()
    let time = RunnerTime(
      wallClock: { 0 },
      sleep: { duration in
        slept.withLock { $0.append(duration) }
        // The beat's own time never comes here.
        if duration > .seconds(1) { try await Task.sleep(for: .seconds(3600)) }
      })
    let heartbeat = Heartbeat(
      lease: .seconds(15), claimed: time.now(),
      beat: {
        beats.withLock { $0 += 1 }
        return true
      },
      news: {
        let left = news.withLock { news in
          news -= 1
          return news
        }
        if left < 0 {
          silent.open()
          await Latch().wait()
        }
      }, time: time, logger: LogCatcher().logger)
    let task = Task { await heartbeat.run() }
    // One that doesn't hear news waits for ever.
    await first(of: { await silent.wait() }, { try? await Task.sleep(for: .seconds(20)) })
    #expect(beats.withLock { $0 } == 3)
    // Four waits for news so far, each after its second.
    #expect(slept.withLock { $0.count { $0 == .seconds(1) } } == 4)
    task.cancel()
    await task.value
    #expect(beats.withLock { $0 } == 3)
  }

  @Test("the queue shows step, tokens and calls while the program runs, and nothing once it is over")
  func live() async throws {
    let standIn = try await ModelStandIn.start(Scenario([.init("Good.")]))
    let go = Latch()
    let models = ModelTests()
    let launcher = FakeLauncher { program in
      _ = try await models.call(program)
      await go.wait()
      return .init(output: "Done")
    }
    let (world, services) = try models.world(standIn, launcher)
    let running = try await Running(world, services: services)
    try await running.during {
      try await running.push(#"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"12"}"#)
      try await running.until("its step is told") {
        let seen = try await running.queue.running(["a-1"]).activations.first
        return seen?.step == .run && seen?.tokens == 1038
      }
      let list = try await running.queue.running(["a-1"])
      let seen = try #require(list.activations.first)
      #expect(seen.modelCalls == 1)
      #expect(list.now - seen.lastActive < 10)
      go.open()
      try await running.until("done") { try await running.queue.status().counts["done"] == 1 }
      #expect(try await running.queue.running(["a-1"]).activations.isEmpty)
    }
    await standIn.stop()
  }
}

@Suite("A runner on the list of runners")
struct RegistrationTests {
  @Test("it is there from its start, says that it is stopping, and is gone at its end")
  func life() async throws {
    let go = Latch()
    let running = try await Running(
      World(
        FakeLauncher { _ in
          await go.wait()
          return .init(output: "Done")
        }))
    let task = Task { await running.service.run() }
    func entry() async throws -> RunnerEntry? { try await running.queue.runners().runners.first }
    try await running.until("it is there") { try await entry()?.state == .serving }
    try await running.push(#"{"agent_id":"claude-coder-1","post_id":"12"}"#)
    try await running.until("it runs something") { try await entry()?.running == 1 }
    let found = try #require(try await entry())
    #expect(found.identity.pool == .notification)
    #expect(found.identity.slots == 2)
    let stop = Task { await running.service.stop(grace: .seconds(20)) }
    try await running.until("it says that it ends") { try await entry()?.state == .stopping }
    #expect(try await entry()?.running == 1)
    go.open()
    await stop.value
    await task.value
    #expect(try await running.queue.runners().runners.isEmpty)
    running.close()
  }

  @Test("it comes back by itself where Redis has forgotten it, and says so often enough not to lapse")
  func forgotten() async throws {
    let redis = try await RedisServer()
    var options = WorkQueue.Options()
    options.runnerExpiry = .milliseconds(400)
    let queue = WorkQueue(redis.url, options: options)
    let world = try World(FakeLauncher(says: "x"))
    let service = RunnerService(
      queue: queue, services: world.services,
      options: .init(pool: .hybrid, maxActivations: 3, globalCap: 9, runnerID: "r"))
    let running = try await Running(world, redis: redis)
    let task = Task { await service.run() }
    func state() async throws -> RunnerState? { try await queue.runners().runners.first?.state }
    try await running.until("it is there") { try await state() == .serving }
    // Looked for afterwards it might be back already.
    #expect(try await queue.unregister("r"))
    try await running.until("it is back") { try await state() == .serving }
    // Killed, as far as anybody can tell.
    queue.close()
    try await running.until("it is lost") { try await running.queue.runners().runners.first?.state == .lost }
    task.cancel()
    await task.value
    running.close()
  }
}
