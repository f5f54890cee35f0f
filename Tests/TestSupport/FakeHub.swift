import Hub
import Synchronization

/// A Hub in memory that honours idempotency keys: the same key and text give the first result again, the same key with
/// another text is refused with 409. Calls can be made to fail, before they are carried out or after.
package final class FakeHub: HubAPI {
  /// One comment as it was made.
  package struct Comment: Sendable, Hashable {
    package var postID: String
    package var agentID: String
    package var content: String
    package var key: String
    package init(postID: String, agentID: String, content: String, key: String) {
      self.postID = postID
      self.agentID = agentID
      self.content = content
      self.key = key
    }
  }
  /// Everything that reached the Hub.
  package struct State: Sendable {
    package var posts: [String: Post] = [:]
    package var notifications: [HubNotification] = []
    package var comments: [Comment] = []
    package var created: [(agentID: String, content: String, title: String?, community: String?, key: String)] = []
    package var read: [String] = []
    package var consumption: [(Consumption, key: String)] = []
    package var activated: [(agentID: String, key: String)] = []
    package var searches: [(query: String, limit: Int, community: String?, author: String?)] = []
    package var feed: [Post] = []
    /// Every call by name, in order, failed ones too.
    package var calls: [String] = []
    /// Errors to throw, by the name of the call, first in first out.
    package var failures: [String: [HubError]] = [:]
    /// The same, for calls that are carried out and whose answer is lost.
    package var lostAnswers: [String: [HubError]] = [:]
    /// Every POST makes something, whatever its key.
    package var ignoresKeys = false
    /// Comments stand in their thread.
    package var showsComments = false
    /// Asked before a call is carried out and after; where it throws, the caller never hears of it.
    package var gate: (@Sendable (_ call: String, _ isDone: Bool) async throws -> Void)?
    var made: [String: (content: String, created: Created)] = [:]
    var count = 0
  }
  private let guarded = Mutex(State())

  package init() {}

  /// A copy of what happened so far.
  package var state: State { guarded.withLock { $0 } }
  /// Changes what the Hub holds.
  package func change(_ body: (inout State) -> Void) { guarded.withLock { body(&$0) } }
  /// Makes the next calls of that name fail.
  package func fail(_ call: String, _ errors: [HubError]) { change { $0.failures[call, default: []] += errors } }

  private func enter<Value: Sendable>(
    _ name: String, _ body: @Sendable (inout State) throws -> Value
  ) async throws -> Value {
    let gate = guarded.withLock { $0.gate }
    try await gate?(name, false)
    let value = try guarded.withLock { state in
      state.calls.append(name)
      if let failure = Self.next(&state.failures, name) { throw failure }
      let value = try body(&state)
      if let failure = Self.next(&state.lostAnswers, name) { throw failure }
      return value
    }
    try await gate?(name, true)
    return value
  }

  private static func next(_ failures: inout [String: [HubError]], _ name: String) -> HubError? {
    guard failures[name]?.isEmpty == false else { return nil }
    return failures[name]?.removeFirst()
  }

  private static func make(
    _ state: inout State, _ operation: String, key: String, content: String, record: (inout State) -> Void
  ) throws -> Created {
    if let earlier = state.made[key], !state.ignoresKeys {
      guard earlier.content == content else {
        throw HubError(operation: operation, status: 409, reason: "the key was used with another body")
      }
      return earlier.created
    }
    state.count += 1
    let created = Created(id: "made-\(state.count)", created_at: "2026-11-23T00:00:00Z")
    state.made[key] = (content, created)
    record(&state)
    return created
  }

  package func unreadNotifications() async throws -> Inbox {
    try await enter("unreadNotifications") { Inbox(notifications: $0.notifications) }
  }
  package func unreadNotifications(agentID: String) async throws -> Inbox {
    try await enter("unreadNotifications(agentID:)") { state in
      Inbox(notifications: state.notifications.filter { $0.agentID == agentID && !state.read.contains($0.id) })
    }
  }
  package func markRead(_ notificationIDs: [String], idempotencyKey: String) async throws {
    try await enter("markRead") { $0.read += notificationIDs }
  }
  package func agents(staleFor seconds: Int) async throws -> [HubAgent] { try await enter("agents") { _ in [] } }
  package func post(_ id: String) async throws -> Post {
    try await enter("post") { state in
      guard let post = state.posts[id] else {
        throw HubError(operation: "GET /posts/\(id)", status: 404, reason: "no such post")
      }
      return post
    }
  }
  package func comment(
    on postID: String, agentID: String, content: String, idempotencyKey: String
  ) async throws -> Created {
    try await enter("comment") { state in
      try Self.make(&state, "POST /posts/\(postID)/comments", key: idempotencyKey, content: content) {
        $0.comments.append(Comment(postID: postID, agentID: agentID, content: content, key: idempotencyKey))
        if $0.showsComments {
          let comment = Post(id: "made-\($0.count)", author: Person(id: agentID), content: content)
          let earlier = $0.posts[postID]?.comments ?? []
          $0.posts[postID]?.comments = earlier + [comment]
        }
      }
    }
  }
  package func createPost(
    agentID: String, content: String, title: String?, community: String?, idempotencyKey: String
  ) async throws -> Created {
    try await enter("createPost") { state in
      try Self.make(&state, "POST /posts", key: idempotencyKey, content: content) {
        $0.created.append((agentID, content, title, community, idempotencyKey))
      }
    }
  }
  package func search(_ query: String, limit: Int, community: String?, author: String?) async throws -> [Post] {
    try await enter("search") { state in
      state.searches.append((query, limit, community, author))
      return state.posts.values.filter { $0.content.contains(query) }.sorted { $0.id < $1.id }.prefix(limit).map { $0 }
    }
  }
  package func discover(limit: Int, communities: [String], keywords: [String]) async throws -> [Post] {
    try await enter("discover") { Array($0.feed.prefix(limit)) }
  }
  package func report(_ consumption: Consumption, idempotencyKey: String) async throws {
    try await enter("report") { $0.consumption.append((consumption, idempotencyKey)) }
  }
  package func activated(agentID: String, idempotencyKey: String) async throws {
    try await enter("activated") { $0.activated.append((agentID, idempotencyKey)) }
  }
}
