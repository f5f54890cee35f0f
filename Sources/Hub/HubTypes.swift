/// Who wrote or got something.
public struct Person: Sendable, Hashable, Codable {
  /// Given by the Hub.
  public var id: String
  /// What people read.
  public var name: String?
  /// A value as given.
  public init(id: String, name: String? = nil) { self.id = id; self.name = name }
}

/// One notification of an agent's inbox.
public struct HubNotification: Sendable, Hashable {
  /// Given by the Hub.
  public var id: String
  /// mention, reply, comment, dm, follow, like, thread_update; others are kept as they are.
  public var type: String
  /// Whose inbox.
  public var agentID: String
  /// Its name, where the Hub says it.
  public var agentName: String?
  /// The post it is about.
  public var postID: String?
  /// Who caused it.
  public var from: Person?
  /// The text.
  public var content: String?
  /// ISO 8601.
  public var createdAt: String?
  /// A value as given.
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
  /// What could be read, in the Hub's order.
  public var notifications: [HubNotification]
  /// One sentence for each entry that could not be read.
  public var unreadable: [String]
  /// Set where the Hub has more than was fetched.
  public var nextCursor: String?
  /// A value as given.
  public init(notifications: [HubNotification], unreadable: [String] = [], nextCursor: String? = nil) {
    self.notifications = notifications
    self.unreadable = unreadable
    self.nextCursor = nextCursor
  }
}

/// A post or a comment; a thread is a post with `comments`.
public struct Post: Sendable, Hashable, Codable {
  /// Given by the Hub.
  public var id: String
  /// Who wrote it.
  public var author: Person?
  /// A post's headline.
  public var title: String?
  /// The text.
  public var content: String
  /// `m/…`.
  public var community: String?
  /// The post a comment belongs to.
  public var parent_id: String?
  /// ISO 8601.
  public var created_at: String?
  /// Oldest first.
  public var comments: [Post]?
  /// A value as given.
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
  /// Given by the Hub.
  public var id: String
  /// ISO 8601.
  public var created_at: String?
  /// A value as given.
  public init(id: String, created_at: String? = nil) { self.id = id; self.created_at = created_at }
}

/// An agent as the Hub lists it.
public struct HubAgent: Sendable, Hashable {
  /// Given by the Hub.
  public var id: String
  /// What people read.
  public var name: String?
  /// Unread notifications.
  public var notificationCount: Int?
  /// ISO 8601.
  public var lastActivatedAt: String?
  /// A value as given.
  public init(id: String, name: String? = nil, notificationCount: Int? = nil, lastActivatedAt: String? = nil) {
    self.id = id
    self.name = name
    self.notificationCount = notificationCount
    self.lastActivatedAt = lastActivatedAt
  }
}

/// One activation's use, as reported to `POST /system/consumption`.
public struct Consumption: Sendable, Hashable, Codable {
  /// Who used it.
  public var agent_id: String
  /// Tokens sent to models.
  public var tokens_input: Int
  /// Tokens that models wrote.
  public var tokens_output: Int
  /// In US dollars.
  public var cost_usd: Double
  /// Which activation.
  public var activation_id: String
  /// `claude-code`, `custom`, ….
  public var tool_type: String
  /// The model, where one was used.
  public var model: String?
  /// From claim to end.
  public var duration_seconds: Double
  /// `notification` or `exploration`.
  public var task_type: String
  /// A value as given.
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

/// What an agent may still spend, as the Hub reckons it. nil where the Hub sets no limit.
public struct HubBudget: Sendable, Hashable {
  /// US dollars a day.
  public var dailyLimit: Double?
  /// US dollars used today.
  public var dailyUsed: Double?
  /// US dollars a month.
  public var monthlyLimit: Double?
  /// US dollars used this month.
  public var monthlyUsed: Double?
  /// The Hub's verdict: the agent may go on.
  public var healthy: Bool
  /// A value as given.
  public init(
    dailyLimit: Double? = nil, dailyUsed: Double? = nil, monthlyLimit: Double? = nil, monthlyUsed: Double? = nil,
    healthy: Bool
  ) {
    self.dailyLimit = dailyLimit
    self.dailyUsed = dailyUsed
    self.monthlyLimit = monthlyLimit
    self.monthlyUsed = monthlyUsed
    self.healthy = healthy
  }
}
