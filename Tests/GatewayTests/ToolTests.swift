import Agents
import Hub
import JSON
import TestSupport
import Testing

@testable import Gateway

@Suite("The tools of the hub server")
struct ToolTests {
  @Test(
    "grants filter the list, in one order",
    arguments: [
      ([], []),
      ([Grant(service: "hub", permission: "read")], ["search", "get_thread"]),
      ([Grant(service: "hub", permission: "write")], ["create_comment", "create_post"]),
      (
        [Grant(service: "hub", permission: "write"), Grant(service: "hub", permission: "read")],
        ["search", "get_thread", "create_comment", "create_post"]
      ),
      ([Grant(service: "hub", permission: "write", resource: "comment")], ["create_comment"]),
      ([Grant(service: "github", permission: "read")], []),
    ] as [([Grant], [String])])
  func granted(_ grants: [Grant], _ names: [String]) async {
    let answer = await Caller(grants: grants).send(#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
    #expect(answer.body?.toolNames == names)
  }

  @Test("a tool that isn't granted looks like one that doesn't exist")
  func indistinguishable() async throws {
    let caller = Caller(grants: [Grant(service: "hub", permission: "read")])
    let arguments: JSONValue = ["post_id": "12", "content": "x"]
    let ungranted = try await caller.call("create_comment", arguments)
    let unknown = try await caller.call("create_nothing", arguments)
    #expect(ungranted["error"] == ["code": -32602, "message": "Unknown tool: create_comment"])
    #expect(unknown["error"] == ["code": -32602, "message": "Unknown tool: create_nothing"])
    #expect(caller.hub.state.calls.isEmpty)
    #expect(caller.audited.withLock { $0.map(\.status) } == [.unknown, .unknown])
  }

  @Test(
    "bad arguments are answered with a sentence",
    arguments: [
      ("create_comment", ["post_id": "12"], "create_comment: 'content' is missing"),
      ("create_comment", ["post_id": "12", "content": nil], "create_comment: 'content' is missing"),
      ("create_comment", ["post_id": "12", "content": 4], "create_comment: 'content' is not a string"),
      ("create_comment", ["post_id": "12", "content": " \n"], "create_comment: 'content' is empty"),
      (
        "create_comment", ["post_id": "12", "content": .string(String(repeating: "x", count: 20_001))],
        "create_comment: 'content' is longer than 20000 characters"
      ),
      (
        "create_comment", ["post_id": "12", "content": "x", "agent_id": "admin"],
        "create_comment: 'agent_id' is not an argument; it takes post_id, content"
      ),
      (
        "get_thread", ["post_id": "../agents"],
        "get_thread: 'post_id' is not an id; take one from search or from the thread"
      ),
      ("search", ["query": "x", "limit": 51], "search: 'limit' is not between 1 and 50"),
      ("search", ["query": "x", "limit": "many"], "search: 'limit' is not a whole number"),
      ("search", [1], "search: 'arguments' is not an object"),
    ] as [(String, JSONValue, String)])
  func badArguments(_ tool: String, _ arguments: JSONValue, _ sentence: String) async throws {
    let caller = Caller()
    let answer = try await caller.call(tool, arguments)
    #expect(answer.isToolError == true)
    #expect(answer.toolText == sentence)
    #expect(caller.hub.state.calls.isEmpty)
  }

  @Test("search and get_thread read in the agent's bounds")
  func reading() async throws {
    let caller = Caller()
    let author = Person(id: "p1", name: "Ada")
    let thread = Post(
      id: "12", author: author, title: "Hi", content: "swift?",
      comments: [Post(id: "13", author: author, content: "yes")])
    caller.hub.change { $0.posts["12"] = thread }
    let found = try await caller.call("search", ["query": "swift", "community": "m/swift"])
    #expect(found["result"]?["structuredContent"]?["results"]?.array?.first?["id"] == "12")
    let search = caller.hub.state.searches.first
    #expect(search?.limit == 10)
    #expect(search?.community == "m/swift")
    let read = try await caller.call("get_thread", ["post_id": "12"])
    #expect(
      read.toolText
        == #"{"author":{"id":"p1","name":"Ada"},"comments":[{"author":{"id":"p1","name":"Ada"},"content":"yes","#
        + #""id":"13"}],"content":"swift?","id":"12","title":"Hi"}"#)
    #expect(read["result"]?["structuredContent"]?["comments"]?.array?.count == 1)
  }

  @Test("a thread that is too long loses its oldest comments and says so")
  func longThread() {
    let comments = (1...5).map { Post(id: "\($0)", content: String(repeating: "x", count: 100)) }
    let shown = Shown.thread(Post(id: "0", content: "start", comments: comments), limit: 400)
    #expect(
      shown["comments"]?.array?.compactMap { $0["id"]?.string } == ["4", "5"] || shown["comments"]?.array?.count == 2)
    #expect(shown["older_comments_left_out"] == 3)
    let results = Shown.results(comments, limit: 300)
    #expect(results["results"]?.array?.first?["id"] == "1")
    #expect(results["left_out"] == 3)
  }

  @Test("effects are made as the agent, under the activation's keys, and written in the ledger")
  func effects() async throws {
    let caller = Caller()
    let comment = try await caller.call("create_comment", ["post_id": "12", "content": "Hello"])
    #expect(comment.isToolError == false)
    #expect(comment["result"]?["structuredContent"] == ["id": "made-1", "created_at": "2026-11-23T00:00:00Z"])
    _ = try await caller.call("create_post", ["content": "News", "title": "T", "community": "m/x"])
    let state = caller.hub.state
    #expect(state.comments.first?.agentID == "claude-coder-1")
    #expect(state.comments.first?.key == EffectNumber.comment(post: "12", ordinal: 0).key("5c1e2f9a"))
    #expect(state.created.first?.key == EffectNumber.post(community: "m/x", ordinal: 0).key("5c1e2f9a"))
    #expect(
      caller.ledger.effects == [
        .init(kind: .comment, postID: "12", id: "made-1"), .init(kind: .post, postID: nil, id: "made-2"),
      ])
  }

  @Test("limits say no before the Hub is asked")
  func limits() async throws {
    struct None: EffectLimits {
      func refusal(of effect: HubEffect, by session: GatewaySession) async -> String? { "enough for today" }
    }
    let caller = Caller(limits: None())
    let answer = try await caller.call("create_comment", ["post_id": "12", "content": "Hello"])
    #expect(answer.toolText == "create_comment: enough for today")
    #expect(caller.hub.state.calls.isEmpty)
  }

  @Test("an activation makes no more than its agent may make in a thread and in a day")
  func activationLimits() async throws {
    let ledger = ActivationLedger()
    var limits = AgentDefinition.Limits()
    limits.maxResponsesPerThread = 1
    limits.maxDailyComments = 2
    limits.maxDailyPosts = 1
    let caller = Caller(ledger: ledger, limits: ActivationLimits(limits, ledger: ledger))
    func comment(_ post: String, _ text: String) async throws -> String? {
      try await caller.call("create_comment", ["post_id": .string(post), "content": .string(text)]).toolText
    }
    _ = try await comment("1", "a")
    #expect(
      try await comment("1", "b")
        == "create_comment: you have commented 1 times on post 1, which is your limit in a thread")
    _ = try await comment("2", "c")
    #expect(
      try await comment("3", "d") == "create_comment: you have made 2 comments, which is your limit for a day")
    _ = try await caller.call("create_post", ["content": "e"])
    #expect(
      try await caller.call("create_post", ["content": "f"]).toolText
        == "create_post: you have made 1 posts, which is your limit for a day")
    #expect(ledger.effects.count == 3)
  }

  @Test("every call leaves one audit record without its arguments")
  func audit() async throws {
    let caller = Caller()
    _ = try await caller.call("search", ["query": "secret"])
    let records = caller.audited.withLock { $0 }
    #expect(
      records == [
        AuditRecord(
          activationID: "5c1e2f9a", agentID: "claude-coder-1", server: "hub", tool: "search",
          argumentsHash: sha256Hex(#"{"query":"secret"}"#.utf8), status: .ok, milliseconds: 0, bytes: 14)
      ])
  }

  @Test("SHA-256 as the standard's example has it")
  func sha256() {
    #expect(sha256Hex("abc".utf8) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
