import Gateway
import Hub
import Sandbox
import Testing
import Work

@testable import Runner

@Suite("Decisions: what is posted, what the queue is told")
struct DecisionTests {
  let task = ActivationTask(activationID: "a-1", agentID: "bot", type: .notification, postID: "12")
  let thread = Post(id: "12", content: "")

  func decide(
    _ text: String?, named: String? = nil, task: ActivationTask? = nil, thread: Post?,
    effects: [ActivationLedger.Effect] = [], limit: Int = 100
  ) -> Response {
    Response.decide(
      text: text, named: named, task: task ?? self.task, thread: thread, effects: effects, limit: limit)
  }

  @Test("an answer is posted under the key n = 0")
  func answer() {
    #expect(
      decide("\n Hello\n", thread: thread)
        == .post(PreparedAnswer(postID: "12", agentID: "bot", text: "Hello", idempotencyKey: "a-1-0")))
  }

  @Test("nothing is posted for nothing, blanks, no thread, a thread where the agent spoke itself")
  func nothing() {
    let exploring = ActivationTask(activationID: "a", agentID: "bot", type: .exploration)
    #expect(decide(nil, thread: thread) == .nothing(.silent))
    #expect(decide(" \n\t", thread: thread) == .nothing(.silent))
    #expect(decide("x", task: exploring, thread: nil) == .nothing(.noThread))
    #expect(decide("x", named: "../agents", task: exploring, thread: nil) == .nothing(.noThread))
    #expect(
      decide("x", thread: thread, effects: [.init(kind: .comment, postID: "12", id: "c")]) == .nothing(.commentedItself)
    )
  }

  @Test("a comment elsewhere, or a post, does not stand for the answer")
  func elsewhere() {
    let effects: [ActivationLedger.Effect] = [
      .init(kind: .comment, postID: "13", id: "c"), .init(kind: .post, postID: nil, id: "p"),
    ]
    guard case .post = decide("x", thread: thread, effects: effects) else {
      Issue.record("not posted")
      return
    }
  }

  @Test("an exploration posts where the agent says; a task's own thread is not changed by what an agent says")
  func named() {
    let exploring = ActivationTask(activationID: "a", agentID: "bot", type: .exploration)
    guard case .post(let free) = decide("x", named: "77", task: exploring, thread: nil),
      case .post(let bound) = decide("x", named: "77", thread: thread)
    else {
      Issue.record("not posted")
      return
    }
    #expect(free.postID == "77")
    #expect(bound.postID == "12")
  }

  @Test("an exploration makes one contribution: what its tools made stands for its answer, wherever it is")
  func once() {
    let exploring = ActivationTask(activationID: "a", agentID: "bot", type: .exploration)
    for effect in [
      ActivationLedger.Effect(kind: .comment, postID: "13", id: "c"), .init(kind: .post, postID: nil, id: "p"),
    ] {
      #expect(
        decide("x", named: "77", task: exploring, thread: nil, effects: [effect]) == .nothing(.commentedItself))
    }
  }

  @Test("too long an answer is cut with a note")
  func long() {
    guard case .post(let answer) = decide(String(repeating: "x", count: 200), thread: thread, limit: 50) else {
      Issue.record("not posted")
      return
    }
    #expect(answer.text.unicodeScalars.count == 50)
    #expect(answer.text.hasSuffix("x\n\n(shortened)"))
  }

  @Test(
    "the wait before the next try is by chance up to a bound that doubles to five minutes, or what somebody asked for")
  func delays() {
    func delay(_ attempt: Int, _ jitter: Double, _ least: Duration? = nil) -> Duration {
      Verdict.delay(attempt: attempt, atLeast: least, jitter: jitter)
    }
    #expect((0..<5).map { delay($0, 1) } == [2, 4, 8, 16, 32].map { .seconds($0) })
    #expect(delay(400, 1) == .seconds(300))
    #expect(delay(2, 0) == .zero)
    #expect(delay(2, 0.25) == .seconds(2))
    #expect(delay(0, 0.5, .seconds(60)) == .seconds(60))
    #expect(delay(9, 0.5, .seconds(60)) == .seconds(150))
  }

  @Test(
    "every end that is not the program's own, in a sentence",
    arguments: [
      (.timeout, "the agent ran into its time limit; raise 'sandbox.timeout' or the profile's"),
      (.oom, "the agent ran out of memory; raise 'sandbox.memory' or the profile's"),
      (.cancelled, "the sandbox was ended before the agent was done"),
      (
        .setupFailed(operation: "mount", object: "/usr", reason: "EPERM"),
        "the sandbox could not be made: mount /usr: EPERM"
      ),
    ] as [(ExitCause, String)])
  func ends(_ exit: ExitCause, _ sentence: String) {
    #expect(Verdict.failure(of: exit)?.description == sentence)
  }

  @Test("a clean end is no failure")
  func clean() { #expect(Verdict.failure(of: .exited(code: 0)) == nil) }

  @Test(
    "the Hub's refusals: which are tried again",
    arguments: [
      (nil, .deferred(.seconds(10)), "s: Hub: GET /x: no"), (503, .deferred(.seconds(10)), "s: Hub: GET /x: no"),
      (401, .retry(after: nil), "s: Hub: GET /x: no; check HUB_API_KEY"), (404, .dead, "s: Hub: GET /x: no"),
      (200, .retry(after: nil), "s: Hub: GET /x: no"),
    ] as [(Int?, ActivationFailure.Remedy, String)])
  func hub(_ status: Int?, _ remedy: ActivationFailure.Remedy, _ sentence: String) {
    let failure = ActivationFailure.hub("s", HubError(operation: "GET /x", status: status, reason: "no"))
    #expect(failure.remedy == remedy)
    #expect(failure.description == sentence)
  }

  @Test("verdicts for the queue")
  func outcomes() {
    #expect(Verdict.outcome(of: .dead("x"), attempt: 0, jitter: 1) == .dead(reason: "x"))
    #expect(
      Verdict.outcome(of: ActivationFailure("x", remedy: .retry(after: .seconds(9))), attempt: 0, jitter: 1)
        == .retry(reason: "x", delay: .seconds(9)))
    #expect(
      Verdict.outcome(of: ActivationFailure("x", remedy: .deferred(.seconds(2))), attempt: 7, jitter: 1)
        == .deferred(reason: "x", delay: .seconds(2)))
  }

  @Test("an agent has its say in a thread as often as its definition lets it")
  func threadLimit() {
    func hasHadItsSay(_ authors: [String?], limit: Int) -> Bool {
      let comments = authors.map { Post(id: "c", author: $0.map { Person(id: $0) }, content: "x") }
      let thread = Post(id: "1", content: "x", comments: comments)
      let loaded = agent("owl") { $0.limits.maxResponsesPerThread = limit }
      return Relevant.hasHadItsSay(Prepared(agent: loaded, thread: thread, notifications: [], skills: []))
    }
    #expect(!hasHadItsSay(["owl", "cat", nil, "owl"], limit: 3))
    #expect(hasHadItsSay(["owl", "cat", "owl", "owl"], limit: 3))
    #expect(hasHadItsSay([], limit: 0))
    #expect(!Relevant.hasHadItsSay(Prepared(agent: agent("owl"), thread: nil, notifications: [], skills: [])))
  }

  @Test("fresh tokens have 256 bits and differ")
  func tokens() {
    let tokens = (0..<20).map { _ in freshToken() }
    #expect(Set(tokens).count == 20)
    #expect(tokens.allSatisfy { $0.utf8.count == 64 })
  }
}
