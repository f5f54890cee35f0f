import Glibc
import HTTPClient
import JSON

/// The Hub over HTTP, all calls below `<url>/api/v1`. Reads leniently: an entry that can't be read costs itself, not its
/// neighbours. The API key goes into one header and never into an error.
public struct HubClient: HubAPI {
  /// One listing takes at most this many pages; what is left comes with the next poll.
  public static let maxPages = 100

  private let base: String
  private let apiKey: String?
  private let transport: any HTTPTransport
  private let timeout: Duration
  private let now: @Sendable () -> Int
  private let onUnreadable: @Sendable (String) -> Void

  /// - Parameters:
  ///   - url: `hub.url`, with or without `/api/v1` at its end.
  ///   - apiKey: `hub.api_key`; nil for a Hub that asks for none.
  ///   - timeout: limit on one call.
  ///   - now: seconds since 1970, for a `Retry-After` that names a date.
  ///   - onUnreadable: told, in one sentence, of each agent, post or comment that was left out because it can't be
  ///     read. Notifications have `Inbox.unreadable` instead.
  public init(
    url: String, apiKey: String?, transport: any HTTPTransport, timeout: Duration = .seconds(30),
    now: @escaping @Sendable () -> Int = { time(nil) }, onUnreadable: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    var base = Substring(url)
    while base.hasSuffix("/") { base = base.dropLast() }
    self.base = base.hasSuffix("/api/v1") ? String(base) : base + "/api/v1"
    self.apiKey = apiKey
    self.transport = transport
    self.timeout = timeout
    self.now = now
    self.onUnreadable = onUnreadable
  }

  // MARK: Notifications

  /// See `HubAPI`.
  public func unreadNotifications() async throws -> Inbox {
    try await inbox([("agent", "*"), ("unread", "true")], of: nil)
  }

  /// See `HubAPI`.
  public func unreadNotifications(agentID: String) async throws -> Inbox {
    try await inbox([("agent_id", agentID), ("unread", "true")], of: agentID)
  }

  private func inbox(_ query: [(String, String)], of agentID: String?) async throws -> Inbox {
    var inbox = Inbox(notifications: [])
    var seen: Set<String> = []
    inbox.nextCursor = try await pages("/notifications", query, list: "notifications") { entry, place in
      do throws(Unreadable) {
        // The Hub may move entries between pages while we read, and may ignore `unread`.
        if let notification = try Reading.notification(entry, at: place, of: agentID),
          seen.insert(notification.id).inserted
        {
          inbox.notifications.append(notification)
        }
      } catch {
        inbox.unreadable.append(error.sentence)
      }
    }
    return inbox
  }

  /// See `HubAPI`. A Hub says with 404, 405 or 501 that it has no long poll.
  public func pollNotifications(timeout seconds: Int, batchSize: Int) async throws -> [HubAgent]? {
    do {
      let answer = try await call(
        "GET", "/notifications/poll", query: [("timeout", "\(seconds)"), ("batch_size", "\(batchSize)")],
        timeout: timeout + .seconds(seconds))
      return try readable(answer.entries("agents"), Reading.agent)
    } catch let error as HubError where [404, 405, 501].contains(error.status) {
      return nil
    }
  }

  /// See `HubAPI`.
  public func markRead(_ notificationIDs: [String], idempotencyKey: String) async throws {
    guard !notificationIDs.isEmpty else { return }
    let body: JSONValue = ["notification_ids": .array(notificationIDs.map { .string($0) })]
    _ = try await call("POST", "/notifications/read", body: body, key: idempotencyKey)
  }

  // MARK: Agents

  /// See `HubAPI`.
  public func agents(staleFor seconds: Int) async throws -> [HubAgent] {
    try await agents([("stale", "true"), ("min_staleness", "\(seconds)")])
  }

  /// Agents that have unread notifications.
  public func agentsWithNotifications() async throws -> [HubAgent] { try await agents([("has_notifications", "true")]) }

  private func agents(_ query: [(String, String)]) async throws -> [HubAgent] {
    var agents: [HubAgent] = []
    _ = try await pages("/agents", query, list: "agents") { entry, place in
      do throws(Unreadable) {
        agents.append(try Reading.agent(entry, at: place))
      } catch {
        onUnreadable("Hub: GET /agents: \(error.sentence)")
      }
    }
    return agents
  }

  /// See `HubAPI`.
  public func activated(agentID: String, idempotencyKey: String) async throws {
    let path = "/agents/\(try part(agentID, "an agent's id"))/activated"
    _ = try await call("POST", path, body: [:], key: idempotencyKey)
  }

  // MARK: Posts

  /// See `HubAPI`.
  public func post(_ id: String) async throws -> Post {
    let answer = try await call(
      "GET", "/posts/\(try part(id, "a post's id"))", query: [("include_comments", "true")])
    return try answer.read { value throws(Unreadable) in
      var post = try Reading.post(value, at: "")
      let comments = try Reading.optional(value, "comments", at: "") { $0.array } ?? nil
      post.comments = readable((answer.operation, "comments", comments ?? []), Reading.post)
      return post
    }
  }

  /// See `HubAPI`.
  public func comment(
    on postID: String, agentID: String, content: String, idempotencyKey: String
  ) async throws -> Created {
    try await call(
      "POST", "/posts/\(try part(postID, "a post's id"))/comments",
      body: ["agent_id": .string(agentID), "content": .string(content)], key: idempotencyKey
    ).read(Reading.created)
  }

  /// See `HubAPI`.
  public func createPost(
    agentID: String, content: String, title: String?, community: String?, idempotencyKey: String
  ) async throws -> Created {
    var body: [String: JSONValue] = ["agent_id": .string(agentID), "content": .string(content)]
    if let title { body["title"] = .string(title) }
    if let community { body["community"] = .string(community) }
    return try await call("POST", "/posts", body: .object(body), key: idempotencyKey).read(Reading.created)
  }

  /// See `HubAPI`.
  public func search(_ query: String, limit: Int, community: String?, author: String?) async throws -> [Post] {
    var pairs = [("q", query), ("limit", "\(limit)")]
    if let community { pairs.append(("community", community)) }
    if let author { pairs.append(("author", author)) }
    return try readable(await call("GET", "/search", query: pairs).entries("results"), Reading.post)
  }

  /// See `HubAPI`.
  public func discover(limit: Int, communities: [String], keywords: [String]) async throws -> [Post] {
    var pairs = [("limit", "\(limit)"), ("exclude_responded", "true")]
    if !communities.isEmpty { pairs.append(("communities", communities.joined(separator: ","))) }
    if !keywords.isEmpty { pairs.append(("keywords", keywords.joined(separator: ","))) }
    return try readable(await call("GET", "/feed/discover", query: pairs).entries("posts"), Reading.post)
  }

  // MARK: Consumption

  /// See `HubAPI`.
  public func report(_ consumption: Consumption, idempotencyKey: String) async throws {
    let body: JSONValue
    do {
      body = try JSONValue(parsing: JSON.encode(consumption))
    } catch {
      throw HubError(operation: "POST /system/consumption", status: 0, reason: "the report \(error)")
    }
    _ = try await call("POST", "/system/consumption", body: body, key: idempotencyKey)
  }

  /// What the agent may still spend.
  public func budgetHealth(agentID: String) async throws -> HubBudget {
    try await call("GET", "/system/budget-health", query: [("agent_id", agentID)]).read(Reading.budget)
  }

  // MARK: One call

  /// Reads pages until the Hub has no more, repeats a cursor or `maxPages` are read; returns the cursor that is left.
  private func pages(
    _ path: String, _ query: [(String, String)], list: String, _ take: (JSONValue, String) -> Void
  ) async throws -> String? {
    var cursor: String?
    for _ in 0..<Self.maxPages {
      let answer = try await call("GET", path, query: query + (cursor.map { [("cursor", $0)] } ?? []))
      for (index, entry) in try answer.entries(list).entries.enumerated() { take(entry, "\(list)[\(index)]") }
      let next = try answer.read { value throws(Unreadable) in
        try Reading.optionalIdentifier(value, "next_cursor", at: "")
      }
      guard let next, !next.isEmpty, next != cursor else { return nil }
      cursor = next
    }
    return cursor
  }

  private func readable<Value>(
    _ list: (operation: String, name: String, entries: [JSONValue]),
    _ read: (JSONValue, String) throws(Unreadable) -> Value
  ) -> [Value] {
    var values: [Value] = []
    for (index, entry) in list.entries.enumerated() {
      do throws(Unreadable) {
        values.append(try read(entry, "\(list.name)[\(index)]"))
      } catch {
        onUnreadable("Hub: \(list.operation): \(error.sentence)")
      }
    }
    return values
  }

  private func part(_ id: String, _ what: String) throws(HubError) -> String {
    // A dot segment would be folded away on its way, even when it is percent-encoded.
    guard !id.isEmpty, id != ".", id != ".." else {
      throw HubError(operation: "call", status: 0, reason: "'\(id)' is not \(what)")
    }
    return PercentEncoding.encode(id)
  }

  private func call(
    _ method: String, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil, key: String? = nil,
    timeout: Duration? = nil
  ) async throws -> Answer {
    let operation = "\(method) \(path)"
    var url = base + path
    if !query.isEmpty {
      url += "?" + query.map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
    }
    var headers: [(name: String, value: String)] = [(name: "Accept", value: "application/json")]
    if let apiKey { headers.append((name: "Authorization", value: "Bearer \(apiKey)")) }
    if body != nil { headers.append((name: "Content-Type", value: "application/json")) }
    if let key { headers.append((name: "Idempotency-Key", value: key)) }
    var request = HTTPRequest(method: method, url: url, headers: headers, timeout: timeout ?? self.timeout)
    do {
      if let body { request.body = try JSON.encode(body) }
      let response = try await transport.send(request)
      if 200...299 ~= response.status { return Answer(operation: operation, response: response, scrub: scrub) }
      throw HubError(
        operation: operation, status: response.status, reason: scrub(Refusal.reason(response)),
        retryAfter: response.header("retry-after").flatMap { RetryAfter.duration($0, now: now()) })
    } catch let error as HTTPClientError {
      throw HubError(operation: operation, status: nil, reason: scrub("no answer from \(base): \(error.reason)"))
    } catch let error as JSONError {
      throw HubError(operation: operation, status: 0, reason: "the request \(error)")
    }
  }

  /// A server may echo what it was sent.
  private func scrub(_ text: String) -> String {
    guard let apiKey, apiKey.utf8.count >= 4 else { return text }
    return text.split(separator: apiKey, omittingEmptySubsequences: false).joined(separator: "[hub.api_key]")
  }
}

/// A 2xx answer and how errors in it are told.
private struct Answer {
  let operation: String
  let response: HTTPResponse
  let scrub: (String) -> String

  func read<Value>(_ read: (JSONValue) throws(Unreadable) -> Value) throws(HubError) -> Value {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: response.body)
    } catch {
      throw failure("a body that is \(error)")
    }
    do {
      return try read(value)
    } catch {
      throw failure("a body in which \(error.sentence)")
    }
  }

  func entries(_ name: String) throws(HubError) -> (operation: String, name: String, entries: [JSONValue]) {
    let entries = try read { value throws(Unreadable) in
      guard case .object(let members) = value else { throw Unreadable("the whole is not an object") }
      guard let list = members[name] else { throw Unreadable("'\(name)' is missing") }
      guard let entries = list.array else { throw Unreadable("'\(name)' is not an array") }
      return entries
    }
    return (operation, name, entries)
  }

  private func failure(_ what: String) -> HubError {
    HubError(operation: operation, status: response.status, reason: scrub("answered \(response.status) with \(what)"))
  }
}
