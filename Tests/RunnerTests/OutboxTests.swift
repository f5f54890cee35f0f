import Agents
import Gateway
import Hub
import Redis
import Synchronization
import TestSupport
import Testing
import Work

@testable import Runner

@Suite("The outbox: kept before it is sent, whoever dies")
struct OutboxTests {
  static let item =
    #"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"12","notification_ids":["n1"]}"#
  static let away = HubError(operation: "POST /posts/12/comments", status: 503, reason: "away")

  /// A runner over a queue of its own, so that it can be cut off from Redis as a kill would.
  static func runner(_ running: Running, name: String) -> (queue: WorkQueue, service: RunnerService) {
    let queue = WorkQueue(running.redis.url)
    var options = RunnerService.Options(pool: .notification, maxActivations: 2, globalCap: 50, runnerID: name)
    options.recoverEvery = .milliseconds(20)
    options.deliverEvery = .milliseconds(20)
    return (queue, RunnerService(queue: queue, services: running.world.services, options: options))
  }

  static func isEmpty(_ running: Running) async throws -> Bool {
    let status = try await running.queue.status()
    return status.outbox == 0 && status.counts["delivered"] ?? 0 > 0
  }

  @Test("the answer is kept as being sent before the Hub hears of it; once all is delivered nothing of it is left")
  func keptFirst() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi Ada")))
    let seen = Mutex<[String?]>([])
    // Not the whole: it holds the Hub, which holds the gate.
    let connection = running.connection
    running.world.hub.change {
      $0.gate = { call, isDone in
        guard call == "comment", !isDone else { return }
        let entry: RedisArgument = "botburrow:outbox:entry:a-1"
        for field in ["s1", "e1"] as [RedisArgument] {
          let value = try await connection.command(["HGET", entry, field]).string
          seen.withLock { $0.append(value) }
        }
      }
    }
    try await running.push(Self.item)
    try await running.during {
      try await running.until("done") { try await running.queue.status().counts["done"] == 1 }
      #expect(try await running.keys("botburrow:outbox*").isEmpty)
    }
    #expect(seen.withLock { $0.first } == "sending")
    let call = try #require(seen.withLock { $0.last.flatMap { $0 }.flatMap { HubCall(parsing: Array($0.utf8)) } })
    #expect(call.content == .comment(postID: "12", text: "Hi Ada", seen: []))
    #expect(running.world.hub.state.read == ["n1"])
    #expect(running.world.hub.state.consumption.count == 1)
    #expect(running.world.hub.state.activated.count == 1)
  }

  @Test("a Redis that lets nobody in for a while is asked again, and one that can't be mended so is not")
  func patience() async throws {
    let services = try World(FakeLauncher(says: "Hi")).services
    func answer(_ errors: [RedisError.Kind]) async throws -> Int {
      let left = Mutex(errors)
      return try await services.patiently("outbox") { () throws(RedisError) in
        let kind = left.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let kind { throw RedisError(kind: kind, operation: "EVALSHA", endpoint: "h:1", reason: "WRONGPASS") }
        return 1
      }
    }
    #expect(try await answer([.unusable, .unreachable, .unusable]) == 1)
    await #expect(throws: RedisError.self) { try await answer([.unusable, .refused(code: "NOPERM")]) }
    await #expect(throws: RedisError.self) { try await answer([.unexpected]) }
  }

  @Test("a Hub that is away holds no place, burns no attempt and loses no answer")
  func hubAway() async throws {
    let launcher = FakeLauncher(says: "Hi")
    let running = try await Running(World(launcher, agents: [agent(), agent("other")]), slots: 1)
    running.world.hub.fail("comment", [Self.away])
    let hold = Mutex(true)
    running.world.hub.change {
      $0.gate = { call, isDone in
        // Away for the first answer, however often it is sent.
        if call == "comment", !isDone, hold.withLock({ $0 }) { throw Self.away }
      }
    }
    try await running.push(Self.item)
    try await running.during {
      try await running.until("kept") { try await running.queue.status().outbox == 1 }
      var status = try await running.queue.status()
      #expect(status.leased == 0 && status.counts["done"] == 1 && status.retries == 0)
      // What the Hub still calls unread is known to be answered.
      #expect(try await running.queue.notificationStates(["n1"])["n1"] == .done(activationID: "a-1"))
      try await running.push(#"{"activation_id":"a-2","agent_id":"other","post_id":"12"}"#)
      try await running.until("both kept") { try await running.queue.status().outbox == 2 }
      #expect(running.world.hub.state.comments.isEmpty)
      hold.withLock { $0 = false }
      try await running.until("delivered") { try await running.queue.status().outbox == 0 }
      status = try await running.queue.status()
      #expect(status.dead == 0 && status.counts["delivered"] == 2)
    }
    #expect(Set(running.world.hub.state.comments.map(\.key)) == ["a-1-0", "a-2-0"])
    #expect(running.world.hub.state.comments.count == 2)
    #expect(launcher.programs.count == 2)
    #expect(running.world.hub.state.read == ["n1"])
    #expect(running.world.logged.lines.contains { $0.message == "delivered from the outbox" })
  }

  @Test("what a runner left is delivered when it is due, however rarely runners look")
  func leftHere() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi")))
    // The first try while it runs, and the first from the outbox.
    running.world.hub.fail("comment", [Self.away, Self.away])
    var options = RunnerService.Options(pool: .notification, maxActivations: 1, globalCap: 50, runnerID: "r")
    options.deliverEvery = .seconds(600)
    let service = RunnerService(queue: running.queue, services: running.world.services, options: options)
    let task = Task { await service.run() }
    try await running.push(Self.item)
    try await running.until("delivered") { try await running.queue.status().counts["delivered"] == 1 }
    #expect(running.world.hub.state.comments.count == 1)
    task.cancel()
    await task.value
    running.close()
  }

  @Test("a Hub that does not answer holds no place either")
  func hubHangs() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    var services = world.services
    services.policy.deliveryPatience = .milliseconds(50)
    let running = try await Running(world, slots: 1, services: services)
    let hangs = Mutex(true)
    world.hub.change {
      $0.ignoresKeys = true
      $0.showsComments = true
      $0.gate = { call, isDone in
        // The answer of the first call never comes.
        guard call == "comment", isDone,
          hangs.withLock({ hangs in
            defer { hangs = false }; return hangs
          })
        else { return }
        try await Task.sleep(for: .seconds(60))
      }
    }
    try await running.push(Self.item)
    try await running.during {
      try await running.until("delivered") { try await Self.isEmpty(running) }
    }
    #expect(world.hub.state.comments.count == 1)
    #expect(world.hub.state.read == ["n1"])
  }

  /// Where a runner is killed.
  enum Death: Sendable, CaseIterable { case beforeComment, afterComment, afterMarks }

  @Test(
    "a runner is killed before it sends, before it notes that it sent, before it reports: the next one says the same words",
    arguments: Death.allCases, [false, true])
  func killed(_ death: Death, ignoresKeys: Bool) async throws {
    let words = Mutex(0)
    let launcher = FakeLauncher { _ in
      let count = words.withLock { count in
        count += 1
        return count
      }
      return .init(output: "Answer \(count)")
    }
    let running = try await Running(World(launcher))
    let isDead = Latch()
    let reached = Latch()
    let place: (call: String, isDone: Bool) =
      switch death {
      case .beforeComment: ("comment", false)
      case .afterComment: ("comment", true)
      case .afterMarks: ("markRead", true)
      }
    running.world.hub.change {
      $0.ignoresKeys = ignoresKeys
      $0.showsComments = true
      $0.gate = { call, isDone in
        guard call == place.call, isDone == place.isDone, !reached.isOpen else { return }
        reached.open()
        await isDead.wait()
        throw CancellationError()
      }
    }
    try await killing(running, at: reached, isDead) {
      try await running.until("delivered") { try await Self.isEmpty(running) }
      let status = try await running.queue.status()
      #expect(status.dead == 0 && status.leased == 0 && status.counts["done"] == 1)
      let state = running.world.hub.state
      #expect(state.comments.map(\.content) == ["Answer 1"])
      #expect(Set(state.read) == ["n1"])
      #expect(Set(state.consumption.map(\.key)).count == 1)
      #expect(launcher.programs.count == 1)
    }
    #expect(running.world.hub.state.comments.count == 1)
  }

  /// One runner takes the item and is killed where `reached` opens; `body` sees what another does then. What the first still
  /// tries once `isDead` opens reaches nothing.
  private func killing(
    _ running: Running, at reached: Latch, _ isDead: Latch, _ body: () async throws -> Void
  ) async throws {
    let first = Self.runner(running, name: "first")
    try await running.push(Self.item)
    let task = Task { await first.service.run() }
    await reached.wait()
    // As a kill: nothing that it does reaches Redis or the Hub any more.
    first.queue.close()
    _ = try await running.connection.command(["ZADD", "botburrow:leases", "1", "a-1"])
    let second = Self.runner(running, name: "second")
    let other = Task { await second.service.run() }
    try await body()
    isDead.open()
    await first.service.stop(grace: .zero)
    task.cancel()
    await task.value
    await second.service.stop(grace: .seconds(5))
    await other.value
    second.queue.close()
    running.close()
  }

  @Test("an answer whose reply was lost is looked for in the thread, and not said twice at a Hub that ignores keys")
  func lostReply() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi  Ada")))
    running.world.hub.change {
      $0.ignoresKeys = true
      $0.showsComments = true
      $0.lostAnswers["comment"] = [HubError(operation: "POST /posts/12/comments", status: nil, reason: "cut")]
    }
    try await running.push(Self.item)
    try await running.during {
      try await running.until("delivered") { try await Self.isEmpty(running) }
    }
    #expect(running.world.hub.state.comments.count == 1)
    #expect(running.world.hub.state.read == ["n1"])
    #expect(running.world.metrics.exposition().contains("botburrow_outbox_found_total 1\n"))
  }

  @Test("the same words that stood in the thread before are not taken for the answer")
  func oldWords() async throws {
    let running = try await Running(World(FakeLauncher(says: "Hi")))
    running.world.hub.change {
      $0.ignoresKeys = true
      $0.showsComments = true
      $0.posts["12"]?.comments = [Post(id: "old", author: Person(id: "claude-coder-1"), content: "Hi")]
    }
    running.world.hub.fail("comment", [Self.away])
    try await running.push(Self.item)
    try await running.during {
      try await running.until("delivered") { try await Self.isEmpty(running) }
    }
    #expect(running.world.hub.state.comments.count == 1)
  }

  @Test("a refused answer is a dead letter with its words; tried again it is posted, and nobody runs for it")
  func refused() async throws {
    let launcher = FakeLauncher(says: "Hello there")
    let running = try await Running(World(launcher))
    let gone = HubError(operation: "POST /posts/12/comments", status: 403, reason: "closed thread")
    // Once by the activation, once by the deliverer who keeps it with the reason.
    running.world.hub.fail("comment", [gone, gone])
    try await running.push(Self.item)
    try await running.during {
      try await running.until("dead") { try await running.queue.status().dead == 1 }
      let letter = try #require(try await running.queue.dead().first)
      #expect(letter.id == "a-1")
      #expect(letter.reason == "the answer can't be posted: Hub: POST /posts/12/comments: closed thread")
      #expect(letter.agentID == "claude-coder-1")
      #expect(HubCall(parsing: letter.raw)?.content == .comment(postID: "12", text: "Hello there", seen: []))
      // What it used is told all the same; unanswered, the notification stays unread and is not queued again.
      #expect(running.world.hub.state.consumption.count == 1)
      #expect(running.world.hub.state.read.isEmpty)
      #expect(try await running.queue.notificationStates(["n1"])["n1"] == .dead(activationID: "a-1"))
      #expect(
        running.world.metrics.exposition().contains(#"botburrow_outbox_refused_total{effect="comment"} 1"# + "\n"))

      // Sooner than it would come by itself, unless it has come meanwhile.
      #expect(try await [.queued, .known].contains(running.queue.replay("a-1")))
      try await running.until("delivered") { try await Self.isEmpty(running) }
      #expect(try await running.queue.notificationStates(["n1"])["n1"] == .done(activationID: "a-1"))
      #expect(try await running.queue.dead().isEmpty)
    }
    #expect(running.world.hub.state.comments.map(\.content) == ["Hello there"])
    #expect(running.world.hub.state.comments.map(\.key) == ["a-1-0"])
    #expect(running.world.hub.state.read == ["n1"])
    #expect(running.world.hub.state.consumption.count == 1)
    #expect(launcher.programs.count == 1)
  }

  @Test("each attempt that failed reports what it used, once, though the Hub is away at first")
  func failedAttempts() async throws {
    let launcher = FakeLauncher { _ in .init(exit: .exited(code: 7)) }
    let running = try await Running(World(launcher))
    running.world.hub.fail("report", [Self.away])
    try await running.push(Self.item)
    try await running.during {
      // At least: the next attempt may come by itself before the first one's report is sent again.
      try await running.until("first") { running.world.hub.state.consumption.count >= 1 }
      try await running.until("a retry that waits") { try await running.queue.status().retries == 1 }
      // Sooner than it would come by itself, unless it has come meanwhile.
      #expect(try await [.queued, .known].contains(running.queue.replay("a-1")))
      try await running.until("second") { running.world.hub.state.consumption.count >= 2 }
      try await running.until("delivered") { try await running.queue.status().outbox == 0 }
    }
    let reports = running.world.hub.state.consumption.map(\.key)
    // The last attempt may have begun as the runner was stopped; its report then waits for the next runner.
    let attempts = launcher.programs.count
    #expect(reports.count >= max(2, attempts - 1) && reports.count <= attempts)
    #expect(Set(reports).count == reports.count)
    #expect(running.world.hub.state.comments.isEmpty)
  }

  @Test("an agent that had commented itself when its runner was killed is not run again", arguments: [false, true])
  func ownComment(isNoted: Bool) async throws {
    let reached = Latch()
    let isDead = Latch()
    let launcher = FakeLauncher { program in
      _ = try await program.call("create_comment", ["post_id": "12", "content": "I say it myself"])
      reached.open()
      await isDead.wait()
      throw CancellationError()
    }
    let writer = agent(grants: [Grant(service: "hub", permission: "write")])
    let running = try await Running(World(launcher, agents: [writer]))
    running.world.hub.change {
      $0.ignoresKeys = true
      $0.showsComments = true
      $0.gate = { call, isDone in
        // Killed before it could note that the Hub has it.
        guard !isNoted, call == "comment", isDone, !reached.isOpen else { return }
        reached.open()
        await isDead.wait()
        throw CancellationError()
      }
    }
    try await killing(running, at: reached, isDead) {
      try await running.until("done") { try await running.queue.status().counts["done"] == 1 }
      #expect(running.world.hub.state.comments.map(\.content) == ["I say it myself"])
      #expect(running.world.hub.state.read == ["n1"])
      #expect(launcher.programs.count == 1)
    }
  }

  @Test("a lease that was lost before the answer keeps and posts nothing")
  func lost() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    let running = try await Running(world)
    try await running.push(Self.item)
    let lease = try #require(try await running.claimed())
    _ = try await running.connection.command(["ZADD", "botburrow:leases", "1", "a-1"])
    #expect(try await running.queue.recover().expired == 1)
    var activation = world.activation()
    activation.outbox = LeasedOutbox(queue: running.queue, lease: lease, services: world.services)
    let end = await activation.perform()
    #expect(end.failure?.status == .lost)
    #expect(end.outbox == nil)
    #expect(world.hub.state.comments.isEmpty)
    #expect(world.hub.state.read.isEmpty)
    #expect(try await running.keys("botburrow:outbox*").isEmpty)
    running.close()
  }
}

extension Running {
  func keys(_ pattern: RedisArgument) async throws -> [String] {
    try await connection.command(["KEYS", pattern]).array?.compactMap(\.string) ?? []
  }
}
