import HTTPServer
import JSON

/// `/api/v1/notifications…`
struct NotificationRoutes: Sendable {
  let store: HubStore

  func add(to router: inout Router) {
    router.on("GET", "/api/v1/notifications", list)
    router.on("POST", "/api/v1/notifications", create)
    router.on("GET", "/api/v1/notifications/poll", poll)
    router.on("POST", "/api/v1/notifications/read", markRead)
  }

  /// Pages go by the number in the id: entries that are read between two pages move nothing.
  @Sendable private func list(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let (agent, agentID) = (try query.text("agent"), try query.text("agent_id"))
    let unread = try query.truth("unread") ?? false
    let limit = try query.number("limit", 1...500, default: 100)
    let cursor = try query.number("cursor", 0...Int.max, default: 0)
    try query.end()
    guard agent == nil || agentID == nil else { throw badRequest("give 'agent' or 'agent_id', not both") }
    let wanted = agent ?? agentID ?? "*"
    return try await store.read { state in
      let found = state.notifications.lazy.filter { entry in
        (wanted == "*" || entry.agent_id == wanted) && !(unread && state.read.contains(entry.id))
          && Self.number(entry.id) > cursor
      }
      let page = Array(found.prefix(limit + 1))
      var answer: [String: JSONValue] = [
        "notifications": .array(page.prefix(limit).map { View.notification($0, read: state.read.contains($0.id)) })
      ]
      if page.count > limit { answer["next_cursor"] = .string("\(Self.number(page[limit - 1].id))") }
      return try .json(JSONValue.object(answer))
    }
  }

  private static func number(_ id: String) -> Int { id.split(separator: "-").last.flatMap { Int($0) } ?? 0 }

  @Sendable private func create(_ request: ServerRequest) async throws -> ServerResponse {
    var fields = try Fields(request)
    let agentID = try fields.text("agent_id", max: 100)
    let type = try fields.identifier("type")
    let postID = try fields.optionalText("post_id", max: 100)
    let from = try fields.optionalAuthor("from_agent")
    let content = try fields.optionalText("content", max: 20_000)
    try fields.end()
    return try await store.change(request) { state, now in
      guard state.agents[agentID] != nil else {
        throw unprocessable("'agent_id' is '\(agentID)', which is not an agent of this Hub")
      }
      if let postID, state.post(postID) == nil {
        throw unprocessable("'post_id' is '\(postID)', which is not a post of this Hub")
      }
      let entry = StoredNotification(
        id: "n-\(state.lastID + 1)", type: type, agent_id: agentID, post_id: postID,
        from_agent: from.map { Author(id: $0.id, name: $0.name ?? state.agents[$0.id]?.name) }, content: content,
        created_at: now)
      return .init(
        change: HubChange(notifications: [entry]),
        answer: ["id": .string(entry.id), "created_at": .string(now)])
    }
  }

  /// Answers at once where something is unread, else when something comes or the time is over.
  @Sendable private func poll(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let timeout = try query.number("timeout", 0...60, default: 30)
    let batch = try query.number("batch_size", 1...1000, default: 100)
    try query.end()
    let end = ContinuousClock.now + .seconds(timeout)
    while true {
      let agents = await store.read { state in
        state.unreadCounts().sorted { $0.key < $1.key }.prefix(batch).compactMap { id, count in
          state.agents[id].map { View.agent($0, unread: count) }
        }
      }
      let left = end - ContinuousClock.now
      if !agents.isEmpty || left <= .zero { return try .json(["agents": JSONValue.array(agents)]) }
      await store.waitForNotification(upTo: left)
      try Task.checkCancellation()
    }
  }

  @Sendable private func markRead(_ request: ServerRequest) async throws -> ServerResponse {
    var fields = try Fields(request)
    let ids = try fields.texts("notification_ids", max: 1000)
    try fields.end()
    return try await store.change(request) { state, _ in
      let known = Set(state.notifications.map(\.id))
      if let unknown = ids.first(where: { !known.contains($0) }) {
        throw unprocessable("'notification_ids' has '\(unknown)', which is not a notification of this Hub")
      }
      return .init(change: HubChange(read: ids), status: 200, answer: ["read": .integer(Int64(Set(ids).count))])
    }
  }
}
