import Hub
import JSON
import Synchronization
import TestSupport
import Testing

@testable import Gateway

/// A keeper in memory, shared by the runs of one activation.
final class FakeKeeper: EffectKeeper {
  private let kept = Mutex<[String: (effect: KeptEffect, isMade: Bool)]>([:])
  private let lost = Mutex(false)

  /// As if another runner had the activation.
  func lose() { lost.withLock { $0 = true } }
  var count: Int { kept.withLock { $0.count } }

  func begin(_ key: String, _ effect: KeptEffect) async -> EffectBeginning {
    if lost.withLock({ $0 }) { return .refused("another runner has this activation now; end") }
    return kept.withLock { kept in
      guard let known = kept[key] else {
        kept[key] = (effect, false)
        return .new
      }
      return known.isMade ? .made(known.effect) : .inDoubt(known.effect)
    }
  }
  func resend(_ key: String, _ effect: KeptEffect) async -> String? {
    kept.withLock { $0[key] = (effect, false) }
    return lost.withLock { $0 } ? "another runner has this activation now; end" : nil
  }
  func made(_ key: String, _ effect: KeptEffect) async { kept.withLock { $0[key] = (effect, true) } }
  func free(_ key: String) async { kept.withLock { $0[key] = nil } }
}

@Suite("Effects once at a Hub that ignores keys: what was made is kept beyond a run")
struct EffectKeeperTests {
  let caller = Caller()
  let keeper = FakeKeeper()

  init() {
    caller.hub.change {
      $0.ignoresKeys = true
      $0.showsComments = true
      for id in ["12", "13"] { $0.posts[id] = Post(id: id, content: "x") }
    }
  }

  /// A run of the activation.
  func run() -> MCPServer {
    MCPServer(
      session: caller.session, hub: caller.hub, ledger: ActivationLedger(), keeper: keeper, audit: Audit { _ in },
      limits: caller.limits)
  }
  func comment(_ post: String, _ words: String, _ server: MCPServer) async throws -> JSONValue {
    try await caller.call("create_comment", ["post_id": .string(post), "content": .string(words)], on: server)
  }

  @Test("the same words in another order in a second run are made once, and other words count as made")
  func secondRun() async throws {
    let first = run()
    let made = try await comment("12", "A", first)
    _ = try await comment("13", "B", first)
    let second = run()
    let other = try await comment("13", "other words", second)
    let again = try await comment("12", "A", second)
    #expect(again["result"]?["structuredContent"]?["id"] == made["result"]?["structuredContent"]?["id"])
    #expect(other["result"]?["structuredContent"]?["already_made"] == true)
    #expect(caller.hub.state.comments.map(\.content) == ["A", "B"])
    _ = try await comment("13", "and more", second)
    #expect(caller.hub.state.comments.map(\.content) == ["A", "B", "and more"])
  }

  @Test("a comment whose answer was lost is found in the thread")
  func found() async throws {
    caller.hub.change { $0.lostAnswers["comment"] = [HubError(operation: "POST", status: nil, reason: "cut")] }
    let first = try await comment("12", "A", run())
    #expect(first.isToolError == true)
    let again = try await comment("12", "A", run())
    #expect(again["result"]?["structuredContent"]?["id"] == "made-1")
    #expect(caller.hub.state.comments.count == 1)
  }

  @Test("one that never arrived is made by the second run")
  func neverArrived() async throws {
    caller.hub.fail("comment", [HubError(operation: "POST", status: nil, reason: "cut")])
    let first = try await comment("12", "A", run())
    #expect(first.isToolError == true)
    let again = try await comment("12", "B", run())
    #expect(again.isToolError == false)
    #expect(caller.hub.state.comments.map(\.content) == ["B"])
  }

  @Test("nothing is made while the Hub can't say whether it has it already")
  func unknown() async throws {
    let cut = HubError(operation: "POST", status: nil, reason: "cut")
    caller.hub.change { $0.lostAnswers["comment"] = [cut] }
    _ = try await comment("12", "A", run())
    caller.hub.fail("post", [cut])
    let again = try await comment("12", "A", run())
    #expect(again.toolText == "create_comment: the Hub could not be reached; try again later")
    #expect(caller.hub.state.comments.count == 1)
  }

  @Test("a refusal frees the number, by the Hub or by a limit")
  func refused() async throws {
    caller.hub.fail("comment", [HubError(operation: "POST", status: 422, reason: "no")])
    _ = try await comment("12", "bad", run())
    #expect(keeper.count == 0)
    _ = try await comment("12", "good", run())
    #expect(caller.hub.state.comments.map(\.content) == ["good"])
  }

  @Test("who lost the activation makes nothing")
  func lost() async throws {
    keeper.lose()
    let answer = try await comment("12", "A", run())
    #expect(answer.toolText == "create_comment: another runner has this activation now; end")
    #expect(caller.hub.state.calls.isEmpty)
  }

  @Test("a post whose answer was lost is searched for")
  func post() async throws {
    caller.hub.change {
      $0.lostAnswers["createPost"] = [HubError(operation: "POST", status: nil, reason: "cut")]
    }
    _ = try await caller.call("create_post", ["content": "Owls burrow"], on: run())
    caller.hub.change {
      $0.posts["p-9"] = Post(id: "p-9", author: Person(id: "claude-coder-1"), content: "Owls burrow")
    }
    let again = try await caller.call("create_post", ["content": "Owls burrow"], on: run())
    #expect(again["result"]?["structuredContent"]?["id"] == "p-9")
    #expect(caller.hub.state.created.count == 1)
  }
}
