import Gateway
import Hub
import Observe
import TestSupport
import Testing
import Work

@testable import Runner

@Suite("What the outbox decides")
struct OutboxDecisionTests {
  @Test("calls are kept as JSON and read back")
  func coding() throws {
    let use = Consumption(
      agent_id: "a", tokens_input: 3, tokens_output: 4, cost_usd: 0.25, activation_id: "x", tool_type: "native",
      model: "m", duration_seconds: 1.5, task_type: "notification")
    let contents: [HubCall.Content] = [
      .comment(postID: "1", text: "\u{1F989} \"words\"\n", seen: ["c-1"]), .readMarks(["n1", "n2"]), .consumption(use),
      .activated,
    ]
    for content in contents {
      let call = HubCall(agentID: "a", idempotencyKey: "x-0", content: content)
      #expect(HubCall(parsing: call.encoded) == call)
    }
    #expect(HubCall(parsing: Array("{}".utf8)) == nil)
    #expect(HubCall(parsing: Array("nonsense".utf8)) == nil)
  }

  @Test(
    "what the Hub's answers mean",
    arguments: [
      (nil, nil, .later("the answer can't be posted: Hub: x: no", after: nil)),
      (429, 7, .later("the answer can't be posted: Hub: x: no", after: .seconds(7))),
      (500, nil, .later("the answer can't be posted: Hub: x: no", after: nil)),
      (401, nil, .later("the answer can't be posted: Hub: x: no; check HUB_API_KEY", after: nil)),
      (403, nil, .refused("the answer can't be posted: Hub: x: no")),
      (404, nil, .refused("the answer can't be posted: Hub: x: no")),
      (422, nil, .refused("the answer can't be posted: Hub: x: no")),
      (409, nil, .taken(.earlier)), (201, nil, .taken(.now(id: nil))),
    ] as [(Int?, Int?, DeliveryAnswer)])
  func answers(_ status: Int?, _ wait: Int?, _ answer: DeliveryAnswer) {
    let error = HubError(operation: "x", status: status, reason: "no", retryAfter: wait.map { .seconds($0) })
    #expect(DeliveryAnswer(error, of: .comment) == answer)
  }

  @Test(
    "waits grow to a minute, vary by a quarter, and are what the Hub asked for, up to an hour",
    arguments: [
      (0, nil, 0.5, .milliseconds(500)), (1, nil, 0.5, .seconds(1)), (6, nil, 0.5, .seconds(32)),
      (7, nil, 0.5, .seconds(60)), (1000, nil, 0.5, .seconds(60)), (0, nil, 0, .milliseconds(375)),
      (7, nil, 1, .seconds(75)), (0, .seconds(90), 0.5, .seconds(90)), (0, .seconds(999_999), 0.5, .seconds(3600)),
    ] as [(Int, Duration?, Double, Duration)])
  func waits(_ tries: Int, _ asked: Duration?, _ chance: Double, _ wait: Duration) {
    #expect(OutboxDelivery.wait(tries: tries, asked: asked, chance: chance) == wait)
  }

  @Test("what can't be read may be the answer: nothing is marked as answered beside it", arguments: [false, true])
  func unreadable(isThere: Bool) async throws {
    let hub = FakeHub()
    let delivery = OutboxDelivery(hub: hub, metrics: Metrics(), logger: LogCatcher().logger, step: { _ in true })
    let marks = HubCall(agentID: "a", idempotencyKey: "x-1", content: .readMarks(["n1"]))
    let turn = try await delivery.turn(
      isThere ? [nil, marks] : [marks], isThere ? [.ready, .ready] : [.ready], answerIsFresh: false)
    #expect(hub.state.read == (isThere ? [] : ["n1"]))
    #expect(turn.states == (isThere ? [0: .refused, 1: .ready] : [0: .sent]))
  }

  static func task(_ type: TaskType = .notification, post: String? = "12") -> ActivationTask {
    ActivationTask(activationID: "a-1", agentID: "a", type: type, postID: post)
  }
  static func view(_ pending: [String: String] = [:], waiting: Int = 0) -> OutboxView {
    OutboxView(isStored: false, waiting: waiting, pending: pending, made: [:])
  }

  @Test("which activations wait for answers that the Hub has not taken yet")
  func waiting() {
    let thread = Post(id: "12", content: "x")
    #expect(Beforehand.wait(Self.view(), task: Self.task(), thread: thread) == nil)
    #expect(Beforehand.wait(Self.view(["e": "13"]), task: Self.task(), thread: thread) == nil)
    let same = Beforehand.wait(Self.view(["e": "12"]), task: Self.task(), thread: thread)
    #expect(same?.description == "the agent's last answer in thread 12 waits for the Hub")
    #expect(same?.remedy == .deferred(.seconds(2)))
    #expect(Beforehand.wait(Self.view(["e": "13"]), task: Self.task(.exploration, post: nil), thread: nil) != nil)
    #expect(Beforehand.wait(Self.view(), task: Self.task(.exploration, post: nil), thread: nil) == nil)
    let many = Dictionary(uniqueKeysWithValues: (0..<8).map { ("e\($0)", "p\($0)") })
    #expect(Beforehand.wait(Self.view(many), task: Self.task(), thread: thread) != nil)
    #expect(Beforehand.wait(Self.view(waiting: 100_000), task: Self.task(), thread: thread) != nil)
  }

  @Test("what earlier runs made counts where the Hub has it")
  func earlier() throws {
    func record(_ isMade: Bool, _ words: String, post: String) -> LedgerRecord {
      let effect = ActivationLedger.Effect(kind: .comment, postID: post, id: isMade ? "c-1" : nil)
      return LedgerRecord(isMade: isMade, body: KeptEffect(effect: effect, words: words).encoded)
    }
    let thread = Post(
      id: "12", content: "x", comments: [Post(id: "c-9", author: Person(id: "a"), content: "Said  so\n")])
    func made(_ record: LedgerRecord) -> [ActivationLedger.Effect] {
      Beforehand.effects(["1": record], in: thread, by: "a")
    }
    #expect(made(record(true, "whatever", post: "13")) == [.init(kind: .comment, postID: "13", id: "c-1")])
    #expect(made(record(false, "Said so", post: "12")) == [.init(kind: .comment, postID: "12", id: "c-9")])
    #expect(made(record(false, "Other words", post: "12")).isEmpty)
    #expect(made(record(false, "Said so", post: "13")).isEmpty)

    let comment = ActivationLedger.Effect(kind: .comment, postID: "12", id: nil)
    let other = ActivationLedger.Effect(kind: .comment, postID: "13", id: nil)
    #expect(Beforehand.isAnswered([comment], task: Self.task(), thread: thread))
    #expect(!Beforehand.isAnswered([other], task: Self.task(), thread: thread))
    #expect(Beforehand.isAnswered([other], task: Self.task(.exploration, post: nil), thread: nil))
    #expect(!Beforehand.isAnswered([], task: Self.task(.exploration, post: nil), thread: nil))
  }
}
