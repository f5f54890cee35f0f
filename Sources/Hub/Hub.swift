import HTTPClient
import JSON

/// Who wrote or got something.
public struct Person: Sendable, Hashable, Codable {
  public var id: String
  public var name: String?
  public init(id: String, name: String? = nil) { self.id = id; self.name = name }
}

/// One notification of an agent's inbox.
public struct HubNotification: Sendable, Hashable {
  public var id: String
  /// mention, reply, comment, dm, follow, like, thread_update; others are kept as they are.
  public var type: String
  public var agentID: String
  public var agentName: String?
  public var postID: String?
  public var from: Person?
  public var content: String?
  public var createdAt: String?
  public init(
    id: String, type: String, agentID: String, agentName: String? = nil, postID: String? = nil, from: Person? = nil,
    content: String? = nil, createdAt: String? = nil
  ) {
    self.id = id
    self.type = type
    self.agentID = agentID
    self.agentName = agentName
    self.postID = postID
    self.from = from
    self.content = content
    self.createdAt = createdAt
  }
}

/// A poll's answer: what could be read, and what could not, each with its reason.
public struct Inbox: Sendable {
  public var notifications: [HubNotification]
  /// One sentence for each entry that could not be read.
  public var unreadable: [String]
  public var nextCursor: String?
  public init(notifications: [HubNotification], unreadable: [String] = [], nextCursor: String? = nil) {
    self.notifications = notifications
    self.unreadable = unreadable
    self.nextCursor = nextCursor
  }
}

/// A post or a comment; a thread is a post with `comments`.
public struct Post: Sendable, Hashable, Codable {
  public var id: String
  public var author: Person?
  public var title: String?
  public var content: String
  public var community: String?
  public var parent_id: String?
  public var created_at: String?
  public var comments: [Post]?
  public init(
    id: String, author: Person? = nil, title: String? = nil, content: String, community: String? = nil,
    parent_id: String? = nil, created_at: String? = nil, comments: [Post]? = nil
  ) {
    self.id = id
    self.author = author
    self.title = title
    self.content = content
    self.community = community
    self.parent_id = parent_id
    self.created_at = created_at
    self.comments = comments
  }
}

/// What the Hub said of something it made.
public struct Created: Sendable, Hashable, Codable {
  public var id: String
  public var created_at: String?
  public init(id: String, created_at: String? = nil) { self.id = id; self.created_at = created_at }
}

/// An agent as the Hub lists it.
public struct HubAgent: Sendable, Hashable {
  public var id: String
  public var name: String?
  public var notificationCount: Int?
  /// ISO 8601.
  public var lastActivatedAt: String?
  public init(id: String, name: String? = nil, notificationCount: Int? = nil, lastActivatedAt: String? = nil) {
    self.id = id
    self.name = name
    self.notificationCount = notificationCount
    self.lastActivatedAt = lastActivatedAt
  }
}

/// One activation's use, as reported to `POST /system/consumption`.
public struct Consumption: Sendable, Hashable, Codable {
  public var agent_id: String
  public var tokens_input: Int
  public var tokens_output: Int
  public var cost_usd: Double
  public var activation_id: String
  public var tool_type: String
  public var model: String?
  public var duration_seconds: Double
  public var task_type: String
  public init(
    agent_id: String, tokens_input: Int, tokens_output: Int, cost_usd: Double, activation_id: String,
    tool_type: String, model: String?, duration_seconds: Double, task_type: String
  ) {
    self.agent_id = agent_id
    self.tokens_input = tokens_input
    self.tokens_output = tokens_output
    self.cost_usd = cost_usd
    self.activation_id = activation_id
    self.tool_type = tool_type
    self.model = model
    self.duration_seconds = duration_seconds
    self.task_type = task_type
  }
}

/// A call that the Hub did not carry out.
public struct HubError: Error, Sendable, CustomStringConvertible {
  /// `POST /posts/12/comments`
  public let operation: String
  /// HTTP status; nil when no answer came.
  public let status: Int?
  /// One sentence that names the cause.
  public let reason: String
  /// From `Retry-After` (429, 503).
  public let retryAfter: Duration?
  public var description: String { "Hub: \(operation): \(reason)" }
  /// Worth the same request again: no answer, 408, 425, 429, 5xx.
  public var isTransient: Bool { status.map { $0 == 408 || $0 == 425 || $0 == 429 || $0 >= 500 } ?? true }
  public init(operation: String, status: Int?, reason: String, retryAfter: Duration? = nil) {
    self.operation = operation
    self.status = status
    self.reason = reason
    self.retryAfter = retryAfter
  }
}

/// The Hub's calls that the system makes; what tests replace.
public protocol HubAPI: Sendable {
  /// The seed's poll, all pages: unread notifications of every agent.
  func unreadNotifications() async throws -> Inbox
  func unreadNotifications(agentID: String) async throws -> Inbox
  func markRead(_ notificationIDs: [String], idempotencyKey: String) async throws
  func agents(staleFor seconds: Int) async throws -> [HubAgent]
  func post(_ id: String) async throws -> Post
  func comment(on postID: String, agentID: String, content: String, idempotencyKey: String) async throws -> Created
  func createPost(agentID: String, content: String, title: String?, community: String?, idempotencyKey: String)
    async throws -> Created
  func search(_ query: String, limit: Int, community: String?, author: String?) async throws -> [Post]
  func discover(limit: Int, communities: [String], keywords: [String]) async throws -> [Post]
  func report(_ consumption: Consumption, idempotencyKey: String) async throws
  func activated(agentID: String, idempotencyKey: String) async throws
}
