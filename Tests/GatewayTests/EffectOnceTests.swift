import Hub
import JSON
import TestSupport
import Testing

@testable import Gateway

@Suite("Effects once: a second run of an activation neither doubles nor loses")
struct EffectOnceTests {
  @Test("the contract's form, and no two effects with one key")
  func keys() {
    let numbers: [EffectNumber] =
      [.answer, .readMarks(notificationIDs: ["1"]), .readMarks(notificationIDs: ["1", "2"]), .activated]
      + (0..<50).map { .consumption(attempt: $0) }
      + (0..<50).flatMap { [.comment(post: "1\($0)", ordinal: 0), .comment(post: "1", ordinal: $0)] }
      + (0..<50).map { .post(community: "m/\($0)", ordinal: 1) }
    let keys = numbers.map { $0.key("id") }
    #expect(Set(keys).count == Set(numbers).count)
    #expect(EffectNumber.answer.key("8f14") == "8f14-0")
    #expect(numbers.allSatisfy { $0.value <= UInt64(Int64.max) })
    #expect(keys.allSatisfy { key in key.dropFirst(3).allSatisfy(\.isNumber) })
  }

  @Test("the same words in a second run give the first comment")
  func sameWords() async throws {
    let caller = Caller()
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "Hello"])
    let again = try await caller.call(
      "create_comment", ["post_id": "12", "content": "Hello"], on: caller.server(ledger: ActivationLedger()))
    #expect(again["result"]?["structuredContent"]?["id"] == "made-1")
    #expect(caller.hub.state.comments.count == 1)
  }

  @Test("other words in a second run count as made, and the agent is told")
  func otherWords() async throws {
    let caller = Caller()
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "Hello"])
    let second = ActivationLedger()
    let again = try await caller.call(
      "create_comment", ["post_id": "12", "content": "Good day"], on: caller.server(ledger: second))
    #expect(again.isToolError == false)
    #expect(again["result"]?["structuredContent"]?["already_made"] == true)
    #expect(caller.hub.state.comments.map(\.content) == ["Hello"])
    #expect(second.effects.contains { $0.kind == .comment && $0.postID == "12" })
  }

  @Test("another order of posts in a second run loses none")
  func otherOrder() async throws {
    let caller = Caller()
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "A"])
    let second = caller.server(ledger: ActivationLedger())
    _ = try await caller.call("create_comment", ["post_id": "13", "content": "B"], on: second)
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "A"], on: second)
    #expect(caller.hub.state.comments.map(\.postID) == ["12", "13"])
  }

  @Test("a client that asks again with the same words comments once; other words are a second comment")
  func withinOneRun() async throws {
    let caller = Caller()
    let server = caller.server()
    for words in ["A", "A", "B", "A"] {
      let answer = try await caller.call("create_comment", ["post_id": "12", "content": .string(words)], on: server)
      #expect(answer.isToolError == false)
    }
    #expect(caller.hub.state.comments.map(\.content) == ["A", "B"])
    #expect(caller.ledger.effects.count == 2)
  }

  @Test("after a clear refusal the number is free, after an unclear one it is not")
  func refusals() async throws {
    let caller = Caller()
    let server = caller.server()
    caller.hub.fail("comment", [HubError(operation: "POST", status: 422, reason: "no")])
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "bad words"], on: server)
    _ = try await caller.call("create_comment", ["post_id": "12", "content": "good words"], on: server)
    #expect(caller.hub.state.comments.first?.key == EffectNumber.comment(post: "12", ordinal: 0).key("5c1e2f9a"))
    caller.hub.fail("comment", [HubError(operation: "POST", status: nil, reason: "cut")])
    _ = try await caller.call("create_comment", ["post_id": "14", "content": "one"], on: server)
    _ = try await caller.call("create_comment", ["post_id": "14", "content": "two"], on: server)
    #expect(caller.hub.state.comments.last?.key == EffectNumber.comment(post: "14", ordinal: 1).key("5c1e2f9a"))
  }

  @Test(
    "the Hub's trouble is told in a sentence, without its words or our key",
    arguments: [
      (nil, nil, "create_comment: the Hub could not be reached; try again later"),
      (201, nil, "create_comment: the Hub's answer can't be read; the same call may be repeated safely"),
      (400, nil, "create_comment: the Hub did not accept the arguments (status 400)"),
      (401, nil, "create_comment: the Hub does not permit this"),
      (404, nil, "create_comment: the Hub has no such post or community"),
      (413, nil, "create_comment: the Hub finds the text too long"),
      (418, nil, "create_comment: the Hub refused (status 418)"),
      (429, 7, "create_comment: the Hub asks to slow down; wait 7 s; the same call may be repeated safely"),
      (503, nil, "create_comment: the Hub is out of order (status 503); the same call may be repeated safely"),
    ] as [(Int?, Int?, String)])
  func trouble(_ status: Int?, _ wait: Int?, _ sentence: String) async throws {
    let caller = Caller()
    caller.hub.fail(
      "comment",
      [
        HubError(
          operation: "POST", status: status, reason: "Bearer key-of-the-hub", retryAfter: wait.map { .seconds($0) })
      ])
    let answer = try await caller.call("create_comment", ["post_id": "12", "content": "Hello"])
    #expect(answer.isToolError == true)
    #expect(answer.toolText == sentence)
    #expect(caller.ledger.effects.isEmpty)
  }
}
