import HTTPClient
import JSON
import Synchronization
import Testing

@testable import Hub

private func client(_ transport: FakeTransport, key: String? = "sesame-123") -> HubClient {
  HubClient(url: "http://hub.example/", apiKey: key, transport: transport, now: { 784_111_777 })
}

@Suite struct HubClientTests {
  @Test func readsAnInboxLeniently() async throws {
    let transport = FakeTransport(
      """
      {"notifications":[
        {"id":7,"type":"mention","agent":{"id":"a","name":"Ada"},"post_id":12,"content":"hi","created_at":"2026-01-01",
         "from_agent":{"id":3,"name":"Bob"},"surprise":[1]},
        {"id":"8","type":"from_the_future","agent_id":"b"},
        {"id":"9","type":"mention","agent_id":"b","read":true},
        {"id":"10","type":"mention"},
        {"type":"mention","agent_id":"b"},
        {"id":"11","type":5,"agent_id":"b"},
        {"id":"12","type":"mention","agent_id":"b","from_agent":"bob"},
        {"id":"13","type":"mention","agent":{"name":"x"}},
        "nonsense"
      ]}
      """)
    let inbox = try await client(transport).unreadNotifications()
    #expect(
      inbox.notifications == [
        HubNotification(
          id: "7", type: "mention", agentID: "a", agentName: "Ada", postID: "12", from: Person(id: "3", name: "Bob"),
          content: "hi", createdAt: "2026-01-01"),
        HubNotification(id: "8", type: "from_the_future", agentID: "b"),
      ])
    #expect(
      inbox.unreadable == [
        "notifications[3]: 'agent_id' is missing",
        "notifications[4]: 'id' is missing",
        "notifications[5]: 'type' is not a string",
        "notifications[6]: 'from_agent' is not an object",
        "notifications[7].agent: 'id' is missing",
        "notifications[8] is not an object",
      ])
    #expect(inbox.nextCursor == nil)
    #expect(transport.requests.map(\.url) == ["http://hub.example/api/v1/notifications?agent=%2A&unread=true"])
  }

  @Test func followsCursorsAndTakesEachNotificationOnce() async throws {
    let transport = FakeTransport(
      #"{"notifications":[{"id":"1","type":"mention","agent_id":"a"}],"next_cursor":"c &1"}"#,
      #"{"notifications":[{"id":"1","type":"mention","agent_id":"a"},{"id":"2","type":"dm","agent_id":"a"}],"next_cursor":2}"#,
      #"{"notifications":[],"next_cursor":null}"#)
    let inbox = try await client(transport).unreadNotifications(agentID: "a/b")
    #expect(inbox.notifications.map(\.id) == ["1", "2"])
    let base = "http://hub.example/api/v1/notifications?agent_id=a%2Fb&unread=true"
    #expect(transport.requests.map(\.url) == [base, base + "&cursor=c%20%261", base + "&cursor=2"])
  }

  @Test func stopsAtACursorThatRepeatsAndAfterAHundredPages() async throws {
    let stuck = FakeTransport(#"{"notifications":[],"next_cursor":"same"}"#)
    #expect(try await client(stuck).unreadNotifications().nextCursor == nil)
    #expect(stuck.requests.count == 2)
    let endless = FakeTransport(
      (0...200).map {
        .success(HTTPResponse(status: 200, body: Array(#"{"notifications":[],"next_cursor":"\#($0)"}"#.utf8)))
      })
    #expect(try await client(endless).unreadNotifications().nextCursor == "99")
    #expect(endless.requests.count == 100)
  }

  @Test func carriesKeyTypeAndIdempotencyKey() async throws {
    let transport = FakeTransport(#"{"id":5,"created_at":"now","author":{"id":"a"}}"#, status: 201)
    let made = try await client(transport).comment(
      on: "p/1 ü", agentID: "a", content: "hi \"you\"", idempotencyKey: "act-1")
    #expect(made == Created(id: "5", created_at: "now"))
    let request = try #require(transport.requests.first)
    #expect(request.method == "POST")
    #expect(request.url == "http://hub.example/api/v1/posts/p%2F1%20%C3%BC/comments")
    #expect(
      request.headers.map { "\($0.name): \($0.value)" } == [
        "Accept: application/json", "Authorization: Bearer sesame-123", "Content-Type: application/json",
        "Idempotency-Key: act-1",
      ])
    #expect(String(decoding: request.body ?? [], as: UTF8.self) == #"{"agent_id":"a","content":"hi \"you\""}"#)
  }

  @Test func makesEachCallOfTheContract() async throws {
    let transport = FakeTransport(
      #"{"id":"1","content":"c","agents":[],"results":[],"posts":[],"healthy":true,"daily_limit":2,"daily_used":0.5}"#)
    let hub = client(transport, key: nil)
    try await hub.markRead(["1", "2"], idempotencyKey: "k")
    try await hub.markRead([], idempotencyKey: "k")
    _ = try await hub.agents(staleFor: 14400)
    _ = try await hub.agentsWithNotifications()
    _ = try await hub.post("1")
    _ = try await hub.createPost(agentID: "a", content: "c", title: nil, community: "m/x", idempotencyKey: "k")
    _ = try await hub.search("a b&c", limit: 5, community: "m/x", author: nil)
    _ = try await hub.discover(limit: 3, communities: ["m/a", "m/b"], keywords: [])
    try await hub.activated(agentID: "a", idempotencyKey: "k")
    _ = try await hub.pollNotifications(timeout: 30, batchSize: 100)
    try await hub.report(
      Consumption(
        agent_id: "a", tokens_input: 1, tokens_output: 2, cost_usd: 0.5, activation_id: "u", tool_type: "custom",
        model: nil, duration_seconds: 1.5, task_type: "notification"), idempotencyKey: "k")
    #expect(try await hub.budgetHealth(agentID: "a") == HubBudget(dailyLimit: 2, dailyUsed: 0.5, healthy: true))
    #expect(
      transport.requests.map { "\($0.method) \($0.url.dropFirst("http://hub.example/api/v1".count))" } == [
        "POST /notifications/read", "GET /agents?stale=true&min_staleness=14400", "GET /agents?has_notifications=true",
        "GET /posts/1?include_comments=true", "POST /posts", "GET /search?q=a%20b%26c&limit=5&community=m%2Fx",
        "GET /feed/discover?limit=3&exclude_responded=true&communities=m%2Fa%2Cm%2Fb", "POST /agents/a/activated",
        "GET /notifications/poll?timeout=30&batch_size=100", "POST /system/consumption",
        "GET /system/budget-health?agent_id=a",
      ])
    #expect(!transport.requests.contains { $0.headers.contains { $0.name == "Authorization" } })
  }

  @Test func leavesOutOneBadCommentAndSaysSo() async throws {
    let said = Mutex<[String]>([])
    let transport = FakeTransport(
      #"{"id":1,"content":"c","comments":[{"id":"2","content":"x"},{"id":"3"},{"id":"4","content":null}]}"#)
    let hub = HubClient(
      url: "http://hub.example", apiKey: nil, transport: transport,
      onUnreadable: { sentence in said.withLock { $0.append(sentence) } })
    let post = try await hub.post("1")
    #expect(post.comments?.map(\.id) == ["2", "4"])
    #expect(said.withLock { $0 } == ["Hub: GET /posts/1: comments[1]: 'content' is missing"])
  }
}

@Suite struct HubErrorTests {
  /// The exact words for answers that are not what the contract says.
  @Test(arguments: [
    ("<html>", "answered 200 with a body that is not JSON: byte 1 can't stand there"),
    ("", "answered 200 with a body that is not JSON: the text ends too early"),
    ("[]", "answered 200 with a body in which the whole is not an object"),
    ("{}", "answered 200 with a body in which 'notifications' is missing"),
    (#"{"notifications":{}}"#, "answered 200 with a body in which 'notifications' is not an array"),
    (#"{"notifications":[],"next_cursor":{}}"#, "answered 200 with a body in which 'next_cursor' is not a string"),
  ])
  func namesWhatIsWrongWithAListing(_ body: String, _ reason: String) async throws {
    let error = await #expect(throws: HubError.self) {
      try await client(FakeTransport(body)).unreadNotifications()
    }
    #expect(error?.description == "Hub: GET /notifications: \(reason)")
    #expect(error?.isTransient == false)
  }

  @Test(arguments: [
    (400, #"{"error":{"code":"x","message":"'content' is missing"}}"#, "answered 400: 'content' is missing"),
    (401, #"{"error":"bad key sesame-123"}"#, "answered 401: the Hub does not accept the key; check hub.api_key"),
    (
      403, #"{"detail":"sesame-123 is read-only"}"#,
      "answered 403: [hub.api_key] is read-only; check what hub.api_key may do"
    ),
    (404, #"{"detail":"Post not found"}"#, "answered 404: Post not found"),
    (422, #"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "answered 422: field required"),
    (302, "", "answered 302, a redirect; set hub.url to where the Hub is"),
    (502, "<html>Bad\ngateway", "answered 502"), (500, "line one\nline two", "answered 500: line one line two"),
  ])
  func saysWhatTheHubSaid(_ status: Int, _ body: String, _ reason: String) async throws {
    let error = await #expect(throws: HubError.self) {
      try await client(FakeTransport(body, status: status)).post("12")
    }
    #expect(error?.description == "Hub: GET /posts/12: \(reason)")
    #expect(error?.status == status)
    #expect(error?.isTransient == (status >= 500))
  }

  @Test(arguments: [
    ("7", Duration.seconds(7)), (" 0 ", .zero), ("Sun, 06 Nov 1994 08:50:07 GMT", .seconds(30)),
    ("Sun, 06 Nov 1994 08:00:00 GMT", .zero), ("Tue, 29 Feb 2000 00:00:00 GMT", .seconds(86400)),
    ("9223372036854775807", .seconds(86400)), ("99999999999999999999", .seconds(86400)),
    ("-1", nil), ("soon", nil), ("", nil), ("Sun, 06 Foo 1994 08:49:37 GMT", nil),
  ])
  func obeysRetryAfter(_ header: String, _ wait: Duration?) async throws {
    let error = await #expect(throws: HubError.self) {
      try await client(FakeTransport("", status: 429, headers: [("retry-after", header)])).post("1")
    }
    #expect(error?.retryAfter == wait)
    #expect(error?.isTransient == true)
  }

  @Test func readsADateOnALeapDay() {
    #expect(RetryAfter.duration("Tue, 29 Feb 2000 00:00:00 GMT", now: 951_782_400 - 60) == .seconds(60))
  }

  @Test func tellsThatNoAnswerCame() async throws {
    let transport = FakeTransport([
      .failure(HTTPClientError(method: "GET", url: "u", code: 7, reason: "connection refused"))
    ])
    let error = await #expect(throws: HubError.self) { try await client(transport).post("1") }
    #expect(
      error?.description == "Hub: GET /posts/1: no answer from http://hub.example/api/v1: connection refused")
    #expect(error?.status == nil)
    #expect(error?.isTransient == true)
  }

  @Test func takesA404OfTheLongPollForNotHere() async throws {
    for status in [404, 405, 501] {
      #expect(try await client(FakeTransport("", status: status)).pollNotifications(timeout: 1, batchSize: 1) == nil)
    }
    await #expect(throws: HubError.self) {
      try await client(FakeTransport("", status: 500)).pollNotifications(timeout: 1, batchSize: 1)
    }
  }

  @Test(arguments: ["", ".", ".."]) func refusesIdsThatAreNoPathPart(_ id: String) async throws {
    let transport = FakeTransport("{}")
    await #expect(throws: HubError.self) { try await client(transport).post(id) }
    #expect(transport.requests.isEmpty)
  }
}
