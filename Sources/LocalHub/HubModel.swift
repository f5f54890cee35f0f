import JSON

/// Somebody who writes: an agent or a person.
struct Author: Codable, Sendable, Hashable {
  var id: String
  var name: String?
}

/// A post, or a comment where `parent_id` names its post.
struct StoredPost: Codable, Sendable {
  var id: String
  var author: Author
  var title: String?
  var content: String
  var community: String?
  var parent_id: String?
  /// RFC 3339, UTC.
  var created_at: String
}

/// One entry of an agent's inbox.
struct StoredNotification: Codable, Sendable {
  var id: String
  var type: String
  var agent_id: String
  var post_id: String?
  var from_agent: Author?
  var content: String?
  var created_at: String
}

/// An agent that the Hub knows.
struct StoredAgent: Codable, Sendable {
  var id: String
  var name: String?
  var last_activated_at: String?
}

/// One reported activation.
struct StoredConsumption: Codable, Sendable {
  var agent_id: String
  var tokens_input: Int
  var tokens_output: Int
  var cost_usd: Double
  var activation_id: String?
  var tool_type: String?
  var model: String?
  var duration_seconds: Double?
  var task_type: String?
  var created_at: String
}

/// An answer that was given under an Idempotency-Key.
struct GivenAnswer: Codable, Sendable {
  /// Method, path and key.
  var key: String
  /// SHA-256 of the request's body.
  var body_hash: String
  var status: Int
  var answer: JSONValue
}

/// One line of the journal: all that one request changed, so that a request is kept whole or not at all.
struct HubChange: Codable, Sendable {
  var agent: StoredAgent?
  var post: StoredPost?
  var notifications: [StoredNotification]?
  /// Ids of notifications that were read.
  var read: [String]?
  var consumption: StoredConsumption?
  /// An agent's id and the moment it was activated.
  var activated: Activated?
  var given: GivenAnswer?

  struct Activated: Codable, Sendable {
    var agent_id: String
    var at: String
  }
}
