import HTTPClient
import HTTPServer
import Hub
import JSON
import Synchronization
import Testing

@testable import LocalHub

@Suite struct LocalHubTests {
  @Test func tellsTheMentionedAgentsAndTheAuthorWhoIsAnswered() async throws {
    let hub = try TestHub()
    let post = try await hub.json(
      "POST", "/api/v1/posts",
      #"{"agent_id":"user","title":"For @ada","content":"@claude-coder-1, @ADA, @nobody, me@ada.org: look"}"#)
    #expect(post["id"]?.string == "p-1")
    #expect(try await hub.unread() == ["mention ada p-1", "mention claude-coder-1 p-1"])
    // Answers to a person's post tell nobody; a mention of oneself neither.
    _ = try await hub.json("POST", "/api/v1/posts/p-1/comments", #"{"agent_id":"ada","content":"I, @ada, am here"}"#)
    #expect(try await hub.unread().count == 2)
    // Ada's post: an answer tells her once, as a mention where she is mentioned.
    let hers = try await hub.json("POST", "/api/v1/posts", #"{"agent_id":"ada","content":"mine"}"#)["id"]?.string ?? ""
    _ = try await hub.json("POST", "/api/v1/posts/\(hers)/comments", #"{"agent_id":"user","content":"nice"}"#)
    _ = try await hub.json("POST", "/api/v1/posts/\(hers)/comments", #"{"agent_id":"user","content":"@ada nice"}"#)
    _ = try await hub.json("POST", "/api/v1/posts/\(hers)/comments", #"{"agent_id":"ada","content":"thanks"}"#)
    #expect(
      try await hub.unread("ada") == ["mention ada p-1", "reply ada \(hers)", "mention ada \(hers)"])
  }

  @Test func learnsAgents() async throws {
    let hub = try TestHub()
    #expect(try await hub.call("POST", "/api/v1/agents", #"{"id":"neu","name":"New One"}"#).status == 201)
    #expect(try await hub.call("POST", "/api/v1/agents", #"{"id":"neu","name":"Newer"}"#).status == 200)
    _ = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"@neu"}"#)
    let agents = try await hub.json("GET", "/api/v1/agents?has_notifications=true")
    #expect(try JSON.text(agents) == #"{"agents":[{"id":"neu","name":"Newer","notification_count":1}]}"#)
  }

  @Test func carriesOutAKeyOnce() async throws {
    let hub = try TestHub()
    let body = #"{"agent_id":"user","content":"@ada"}"#
    let first = try await hub.call("POST", "/api/v1/posts", body, key: "k-1")
    let again = try await hub.call("POST", "/api/v1/posts", body, key: "k-1")
    #expect(first.status == 201 && again.status == 201 && first.text == again.text)
    #expect(again.response.header("Idempotent-Replay") == "true")
    let other = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"else"}"#, key: "k-1")
    #expect(other.status == 409)
    #expect(
      other.text
        == #"{"error":{"code":"idempotency_conflict","message":"this Idempotency-Key was used here before with another body; give each effect a key of its own"}}"#
    )
    // Another route, another effect.
    #expect(try await hub.call("POST", "/api/v1/posts/p-1/comments", body, key: "k-1").status == 201)
    #expect(try await hub.json("GET", "/api/v1/posts")["posts"]?.array?.count == 1)
    // A refused request leaves the key free.
    #expect(try await hub.call("POST", "/api/v1/posts", "{}", key: "k-2").status == 422)
    #expect(try await hub.call("POST", "/api/v1/posts", body, key: "k-2").status == 201)
  }

  @Test func losesNothingUnderConcurrentPosts() async throws {
    let hub = try TestHub()
    let ids = try await withThrowingTaskGroup(of: String?.self) { group in
      for number in 0..<100 {
        group.addTask {
          // Two tasks share each key.
          let body = #"{"agent_id":"user","content":"@ada \#(number / 2)"}"#
          return try await hub.json("POST", "/api/v1/posts", body, key: "k-\(number / 2)")["id"]?.string
        }
      }
      return try await group.reduce(into: [String?]()) { $0.append($1) }
    }
    #expect(Set(ids).count == 50)
    #expect(!ids.contains(nil))
    #expect(try await hub.unread("ada").count == 50)
  }

  @Test func givesNotificationsInPagesAndMarksThemRead() async throws {
    let hub = try TestHub()
    for number in 0..<5 {
      _ = try await hub.call("POST", "/api/v1/notifications", #"{"agent_id":"ada","type":"dm","content":"\#(number)"}"#)
    }
    let first = try await hub.json("GET", "/api/v1/notifications?agent_id=ada&unread=true&limit=2")
    #expect(first["notifications"]?.array?.map { $0["id"]?.string } == ["n-1", "n-2"])
    #expect(first["next_cursor"]?.string == "2")
    _ = try await hub.call("POST", "/api/v1/notifications/read", #"{"notification_ids":["n-1","n-3"]}"#)
    let second = try await hub.json("GET", "/api/v1/notifications?agent_id=ada&unread=true&limit=2&cursor=2")
    #expect(second["notifications"]?.array?.map { $0["id"]?.string } == ["n-4", "n-5"])
    #expect(second["next_cursor"] == nil)
    let all = try await hub.json("GET", "/api/v1/notifications?agent=*")
    #expect(all["notifications"]?.array?.map { $0["read"]?.bool } == [true, false, true, false, false])
  }

  @Test func longPollAnswersWhenANotificationComes() async throws {
    let hub = try TestHub()
    #expect(try await hub.json("GET", "/api/v1/notifications/poll?timeout=0")["agents"]?.array?.isEmpty == true)
    async let waiting = hub.json("GET", "/api/v1/notifications/poll?timeout=30&batch_size=10")
    _ = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"@ada"}"#)
    #expect(try JSON.text(try await waiting) == #"{"agents":[{"id":"ada","name":"Ada","notification_count":1}]}"#)
  }

  @Test func longPollEndsWithItsTask() async throws {
    let hub = try TestHub()
    let poll = Task { try await hub.json("GET", "/api/v1/notifications/poll?timeout=60") }
    poll.cancel()
    await #expect(throws: CancellationError.self) { try await poll.value }
  }

  @Test func reckonsBudgetsAndConsumption() async throws {
    let clock = Mutex<Int64>(1_769_860_800_000_000)  // 2026-01-31T12:00Z
    let hub = try TestHub {
      $0.now = { clock.withLock { $0 } }
      $0.budgets = ["ada": .init(daily: 1, monthly: 2)]
    }
    func use(_ cost: Double) async throws {
      _ = try await hub.call(
        "POST", "/api/v1/system/consumption",
        #"{"agent_id":"ada","tokens_input":10,"tokens_output":5,"cost_usd":\#(cost),"activation_id":"u"}"#)
    }
    func health() async throws -> String {
      try JSON.text(try await hub.json("GET", "/api/v1/system/budget-health?agent_id=ada"))
    }
    try await use(0.75)
    #expect(
      try await health() == #"{"daily_limit":1,"daily_used":0.75,"healthy":true,"monthly_limit":2,"monthly_used":0.75}"#
    )
    try await use(0.25)
    #expect(
      try await health() == #"{"daily_limit":1,"daily_used":1,"healthy":false,"monthly_limit":2,"monthly_used":1}"#)
    clock.withLock { $0 += 86_400_000_000 }  // another day, another month
    #expect(
      try await health() == #"{"daily_limit":1,"daily_used":0,"healthy":true,"monthly_limit":2,"monthly_used":0}"#)
    let all = try await hub.json("GET", "/api/v1/system/consumption?agent_id=ada&limit=1")
    #expect(
      try JSON.text(all)
        == #"{"agent_id":"ada","records":[{"activation_id":"u","agent_id":"ada","cost_usd":0.25,"created_at":"2026-01-31T12:00:00.000Z","tokens_input":10,"tokens_output":5}],"totals":{"activations":2,"cost_usd":1,"tokens_input":20,"tokens_output":10}}"#
    )
  }

  @Test func listsStaleAgents() async throws {
    let clock = Mutex<Int64>(1_769_860_800_000_000)
    let hub = try TestHub { $0.now = { clock.withLock { $0 } } }
    _ = try await hub.call("POST", "/api/v1/agents/ada/activated")
    func stale() async throws -> [String?] {
      try await hub.json("GET", "/api/v1/agents?stale=true&min_staleness=3600")["agents"]?.array?.map {
        $0["id"]?.string
      } ?? []
    }
    #expect(try await stale() == ["claude-coder-1"])
    clock.withLock { $0 += 3_600_000_000 }
    #expect(try await stale() == ["ada", "claude-coder-1"])
  }

  @Test func searchesAndDiscovers() async throws {
    let hub = try TestHub()
    for (author, community, text) in [
      ("user", "m/a", "Swift actors"), ("user", "m/b", "Rust"), ("ada", "m/a", "swift?"),
    ] {
      _ = try await hub.call(
        "POST", "/api/v1/posts", #"{"agent_id":"\#(author)","community":"\#(community)","content":"\#(text)"}"#)
    }
    _ = try await hub.call("POST", "/api/v1/posts/p-2/comments", #"{"agent_id":"ada","content":"Use Swift actors"}"#)
    func ids(_ target: String) async throws -> [String?] {
      let answer = try await hub.json("GET", target)
      return (answer["results"] ?? answer["posts"])?.array?.map { $0["id"]?.string } ?? []
    }
    #expect(try await ids("/api/v1/search?q=SWIFT") == ["p-3", "c-5", "p-1"].map { $0 == "c-5" ? "c-4" : $0 })
    #expect(try await ids("/api/v1/search?q=actors swift&limit=1") == ["c-4"])
    #expect(try await ids("/api/v1/search?q=swift&author=ada&community=m/a") == ["p-3"])
    #expect(try await ids("/api/v1/feed/discover") == ["p-3", "p-2", "p-1"])
    #expect(try await ids("/api/v1/feed/discover?exclude_responded=true") == ["p-3", "p-1"])
    #expect(
      try await ids("/api/v1/feed/discover?exclude_responded=true&agent_id=claude-coder-1") == ["p-3", "p-2", "p-1"])
    #expect(try await ids("/api/v1/feed/discover?communities=m/b,m/c&keywords=rust,go") == ["p-2"])
  }

  @Test func answersAFaultInstead() async throws {
    let hub = try TestHub { $0.fault = { $0.method == "POST" ? .failure(503, code: "down", message: "down") : nil } }
    #expect(try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"x"}"#).status == 503)
    #expect(try await hub.call("GET", "/api/v1/posts").status == 200)
  }

  /// The client and this Hub mean the same contract, over a real connection.
  @Test func understandsTheClient() async throws {
    var options = LocalHubOptions()
    options.agents = ["ada": "Ada"]
    options.apiKey = "sesame"
    let local = try LocalHub(options)
    let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0), handler: local.handler)
    let hub = HubClient(url: "http://127.0.0.1:\(server.port)", apiKey: "sesame", transport: HTTPClient())
    let post = try await hub.createPost(
      agentID: "user", content: "@ada & <you>?", title: "T", community: "m/x", idempotencyKey: "1")
    let inbox = try await hub.unreadNotifications()
    #expect(inbox.unreadable.isEmpty)
    #expect(
      inbox.notifications.map { "\($0.type) \($0.agentID) \($0.postID ?? "") \($0.from?.id ?? "")" } == [
        "mention ada \(post.id) user"
      ])
    let comment = try await hub.comment(on: post.id, agentID: "ada", content: "hello", idempotencyKey: "2")
    #expect(try await hub.comment(on: post.id, agentID: "ada", content: "hello", idempotencyKey: "2") == comment)
    try await hub.markRead(inbox.notifications.map(\.id), idempotencyKey: "3")
    #expect(try await hub.unreadNotifications(agentID: "ada").notifications.isEmpty)
    let thread = try await hub.post(post.id)
    #expect(thread.comments?.map(\.content) == ["hello"])
    #expect(thread.comments?.first?.author == Person(id: "ada", name: "Ada"))
    #expect(try await hub.agents(staleFor: 60).map(\.id) == ["ada"])
    try await hub.activated(agentID: "ada", idempotencyKey: "4")
    #expect(try await hub.agents(staleFor: 60).isEmpty)
    #expect(try await hub.search("<you>", limit: 5, community: "m/x", author: "user").map(\.id) == [post.id])
    #expect(try await hub.discover(limit: 5, communities: [], keywords: []).isEmpty)
    try await hub.report(
      Consumption(
        agent_id: "ada", tokens_input: 1, tokens_output: 2, cost_usd: 0.5, activation_id: "u", tool_type: "custom",
        model: nil, duration_seconds: 1.5, task_type: "notification"), idempotencyKey: "5")
    #expect(try await hub.budgetHealth(agentID: "ada") == HubBudget(dailyUsed: 0.5, monthlyUsed: 0.5, healthy: true))
    #expect(try await hub.pollNotifications(timeout: 0, batchSize: 5)?.isEmpty == true)
    let error = await #expect(throws: HubError.self) { try await hub.post("p-99") }
    #expect(error?.description == "Hub: GET /posts/p-99: answered 404: there is no post 'p-99'")
    let stranger = HubClient(url: "http://127.0.0.1:\(server.port)", apiKey: nil, transport: HTTPClient())
    let refused = await #expect(throws: HubError.self) { try await stranger.unreadNotifications() }
    #expect(
      refused?.description
        == "Hub: GET /notifications: answered 401: the Hub does not accept the key; check hub.api_key")
    await server.stop(grace: .zero)
  }
}
