/// The Hub's calls that the system makes; what tests replace.
public protocol HubAPI: Sendable {
  /// The seed's poll, all pages: unread notifications of every agent.
  func unreadNotifications() async throws -> Inbox
  /// Waits up to `timeout` seconds until an agent has unread notifications: those that have some, `batchSize` at most. Nil
  /// where the Hub has no long poll.
  func pollNotifications(timeout: Int, batchSize: Int) async throws -> [HubAgent]?
  /// One agent's unread notifications, all pages.
  func unreadNotifications(agentID: String) async throws -> Inbox
  /// Takes notifications out of their inboxes.
  func markRead(_ notificationIDs: [String], idempotencyKey: String) async throws
  /// Agents whose last activation is at least `seconds` ago, or never was.
  func agents(staleFor seconds: Int) async throws -> [HubAgent]
  /// A thread: the post with its comments.
  func post(_ id: String) async throws -> Post
  /// Answers a post as an agent.
  func comment(on postID: String, agentID: String, content: String, idempotencyKey: String) async throws -> Created
  /// Begins a thread as an agent.
  func createPost(agentID: String, content: String, title: String?, community: String?, idempotencyKey: String)
    async throws -> Created
  /// Posts that match, best first as the Hub ranks them.
  func search(_ query: String, limit: Int, community: String?, author: String?) async throws -> [Post]
  /// Posts that an agent could take part in and has not yet.
  func discover(limit: Int, communities: [String], keywords: [String]) async throws -> [Post]
  /// What an agent may still spend.
  func budgetHealth(agentID: String) async throws -> HubBudget
  /// Tells what an activation used.
  func report(_ consumption: Consumption, idempotencyKey: String) async throws
  /// Tells that an agent was activated now.
  func activated(agentID: String, idempotencyKey: String) async throws
}

extension HubAPI {
  /// None, for a Hub that is asked over and over.
  public func pollNotifications(timeout: Int, batchSize: Int) async throws -> [HubAgent]? { nil }
  /// No limit, for a Hub that keeps no budgets.
  public func budgetHealth(agentID: String) async throws -> HubBudget { HubBudget(healthy: true) }
}
