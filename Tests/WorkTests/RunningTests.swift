import Redis
import TestSupport
import Testing
import Work

@Suite("What runs now") struct RunningTests {
  private func state(_ step: ActivationStep, tokens: Int = 0) -> LiveState {
    var state = LiveState(step: step, inStep: .seconds(3), idle: .seconds(1))
    (state.tokens, state.modelCalls, state.timeLimit) = (tokens, tokens / 10, .seconds(300))
    return state
  }

  @Test("an activation is there from its claim, and a heartbeat tells how far it is")
  func told() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    try await bench.push(#"{"agent_id":"b","activation_id":"y","task_type":"discovery"}"#)
    try await bench.push(#"{"agent_id":"c","activation_id":"z"}"#)
    let lease = try await bench.lease(runner: "r1")
    _ = try await bench.lease(runner: "r2")

    var list = try await bench.queue.running()
    #expect(list.activations.map(\.id).sorted() == ["x", "y"])
    var found = try #require(list.activations.first { $0.id == "x" })
    #expect(found.step == nil)
    #expect(found.stepSince == found.claimed)
    #expect(found.lastActive == found.claimed)
    #expect(found.agentID == "a")
    #expect(found.task == .notification)
    #expect(found.pool == .notification)
    #expect(found.runner == "r1")
    #expect(found.timeLimit == nil)
    #expect(list.activations.first { $0.id == "y" }?.task == .exploration)

    #expect(try await bench.queue.beat(lease, state(.run, tokens: 120)))
    list = try await bench.queue.running(["x", "z", "nobody"])
    #expect(list.activations.map(\.id) == ["x"])
    found = try #require(list.activations.first)
    #expect(found.step == .run)
    #expect(found.tokens == 120)
    #expect(found.modelCalls == 12)
    #expect(found.timeLimit == 300)
    #expect((2.9...20).contains(list.now - found.stepSince))
    #expect((0.9...20).contains(list.now - found.lastActive))
    #expect((1...600.1).contains(found.leaseEnd - list.now))

    // The same step began when it began, however the clocks round.
    #expect(try await bench.queue.beat(lease, state(.run, tokens: 130)))
    #expect(try await bench.queue.running(["x"]).activations.first?.stepSince == found.stepSince)
    // A heartbeat that tells nothing takes nothing back.
    #expect(try await bench.queue.beat(lease))
    #expect(try await bench.queue.running(["x"]).activations.first?.tokens == 130)
  }

  @Test("a stale token tells nothing, and what one attempt was told of is not the next one's")
  func stale() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    let first = try await bench.lease()
    #expect(try await bench.queue.beat(first, state(.run, tokens: 99)))
    #expect(try await bench.queue.release(first))
    #expect(try await bench.queue.running().activations.isEmpty)
    let second = try await bench.lease(runner: "r2")
    #expect(try await bench.queue.beat(first, state(.respond, tokens: 99)) == false)
    var found = try #require(try await bench.queue.running().activations.first)
    #expect(found.step == nil)
    #expect(found.tokens == 0)
    #expect(found.timeLimit == nil)
    #expect(found.runner == "r2")
    #expect(try await bench.queue.beat(second, state(.prepare)))
    found = try #require(try await bench.queue.running().activations.first)
    #expect(found.step == .prepare)
    #expect(found.tokens == 0)
    #expect(try await bench.queue.finish(second, .done))
    #expect(try await bench.queue.running(["x"]).activations.isEmpty)
  }

  @Test("changes between two looks")
  func changes() {
    func activation(_ id: String, _ step: ActivationStep?, claimed: Double = 1, tokens: Int = 0) -> RunningActivation {
      var made = RunningActivation(
        id: id, agentID: "a", task: .notification, pool: .hybrid, runner: "r", claimed: claimed, leaseEnd: 99)
      (made.step, made.tokens) = (step, tokens)
      return made
    }
    let before = RunningList(
      now: 5,
      activations: [
        activation("same", .run), activation("moves", .start), activation("ends", .run), activation("again", .run),
      ])
    var later = activation("same", .run)
    later.leaseEnd = 200
    let moved = activation("moves", .run, tokens: 7)
    let again = activation("again", nil, claimed: 6)
    let after = RunningList(now: 7, activations: [later, moved, again, activation("new", nil, claimed: 7)])
    #expect(
      after.changes(since: before) == [
        .ended(activation("ends", .run)), .ended(activation("again", .run)), .step(moved, from: .start), .tokens(moved),
        .began(again), .began(activation("new", nil, claimed: 7)),
      ])
    #expect(after.changes(since: after).isEmpty)
  }
}

@Suite("What is told of what is wrong") struct AlertNewsTests {
  @Test("each thing is told once when it begins and once when it is over, whoever leads")
  func once() async throws {
    let bench = try await Bench()
    let one = bench.leader()
    let fence = try #require(try await one.campaign())
    #expect(try await bench.queue.noteAlerts([], fence: fence) == AlertNews(begun: [], over: []))
    let wrong: [(key: String, patience: Duration)] = [("stuck:x", .zero), ("slow:x", .zero)]
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence)?.begun == ["slow:x", "stuck:x"])
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence) == AlertNews(begun: [], over: []))

    try await one.resign()
    let next = try #require(try await bench.leader("next").campaign())
    // It knows what the one before it told; that one tells nothing any more.
    #expect(try await bench.queue.noteAlerts([], fence: fence) == nil)
    let news = try #require(try await bench.queue.noteAlerts([wrong[0]], fence: next))
    #expect(news.begun.isEmpty)
    #expect(news.over.map(\.key) == ["slow:x"])
    #expect((0...60).contains(news.over.first?.seconds ?? -1))
    #expect(try await bench.queue.noteAlerts([], fence: next)?.over.map(\.key) == ["stuck:x"])
    #expect(try await bench.plain.command(["EXISTS", "botburrow:alerts"]).integer == 0)
    // Another occurrence is told again.
    #expect(try await bench.queue.noteAlerts(wrong, fence: next)?.begun.count == 2)
  }

  @Test("what is over before its time was never told")
  func patience() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let wrong: [(key: String, patience: Duration)] = [("unserved:hybrid", .seconds(30))]
    let nothing = AlertNews(begun: [], over: [])
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence) == nothing)
    #expect(try await bench.queue.noteAlerts([], fence: fence) == nothing)
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence) == nothing)
    let now = Int(try await bench.queue.running().now * 1000)
    func began(_ seconds: Int) async throws {
      _ = try await bench.plain.command([
        "HSET", "botburrow:alerts", "unserved:hybrid", RedisArgument(now - seconds * 1000),
      ])
    }
    try await began(20)
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence) == nothing)
    try await began(31)
    #expect(try await bench.queue.noteAlerts(wrong, fence: fence)?.begun == ["unserved:hybrid"])
    let over = try #require(try await bench.queue.noteAlerts([], fence: fence)?.over.first)
    #expect(over.key == "unserved:hybrid")
    #expect((31...90).contains(over.seconds))
  }
}
