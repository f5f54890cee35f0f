import Agents
import Hub
import Work

/// What an activation knows before it runs.
struct Prepared: Sendable, Hashable {
  var agent: LoadedAgent
  /// The thread to answer in.
  var thread: Post?
  /// Unread notifications that this activation is about.
  var notifications: [HubNotification]
  /// What there is to explore.
  var feed: [Post] = []
  /// Those skills that fit.
  var skills: [Skill]
  /// What it noted earlier.
  var memory = Recalled()
}

extension Activation {
  /// Reads everything that the prompt is made of.
  func prepare() async throws(ActivationFailure) -> Prepared {
    guard isPlainID(task.activationID) else {
      throw .dead("activation_id '\(task.activationID.prefix(80))' is not an id; use a UUID")
    }
    let agent = try await loadAgent()
    var notifications: [HubNotification] = []
    if task.type == .notification, task.instruction == nil {
      let inbox = try await asking("the inbox of \(task.agentID) can't be read") { () async throws in
        try await services.hub.unreadNotifications(agentID: task.agentID)
      }
      for reason in inbox.unreadable {
        services.logger.warning("unreadable notification", metadata: metadata.merging(["error": "\(reason)"]) { $1 })
        services.metrics.increment("botburrow_unreadable_notifications_total")
      }
      notifications = Relevant.notifications(inbox.notifications, task: task)
    }
    let postID = task.postID ?? notifications.lazy.compactMap(\.postID).first
    var thread: Post?
    if let postID {
      thread = try await asking("post \(postID) can't be read") { () async throws in
        try await services.hub.post(postID)
      }
    }
    var feed: [Post] = []
    if task.type == .exploration, thread == nil, task.instruction == nil {
      let interests = agent.definition.interests
      let found = try await asking("the feed of \(task.agentID) can't be read") { () async throws in
        try await services.hub.discover(
          limit: services.policy.feedSize, communities: interests.communities, keywords: interests.keywords)
      }
      feed = Exploration.feed(found, of: task.agentID)
    }
    var prepared = Prepared(agent: agent, thread: thread, notifications: notifications, feed: feed, skills: [])
    let texts = Relevant.texts(prepared, task: task)
    let held = services.tools.files.permissions.held(agent.definition.grants, by: agent.definition.id)
    prepared.skills = Relevant.skills(
      agent.skills.filter { $0.requiresGrants.allSatisfy(held.permit) }, grants: agent.definition.grants, texts: texts,
      communities: ([thread].compactMap { $0 } + feed).compactMap(\.community))
    return prepared
  }

  private func loadAgent() async throws(ActivationFailure) -> LoadedAgent {
    do {
      return try await services.definitions.load(task.agentID)
    } catch {
      throw definitionFailure(error, agentID: task.agentID)
    }
  }

  /// One call to the Hub with its retries, its failure said as what it was needed for.
  func asking<Value: Sendable>(
    _ step: String, _ call: () async throws -> Value
  ) async throws(ActivationFailure) -> Value {
    do {
      return try await HubRetry(services: services).run(call)
    } catch is CancellationError {
      throw ActivationFailure.cancelled
    } catch {
      throw .hub(step, error)
    }
  }
}

/// Whether an id can name a file and a cgroup.
func isPlainID(_ id: String) -> Bool {
  (1...64).contains(id.utf8.count)
    && id.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
}

/// What of an inbox and of an agent's skills belongs to a task. Pure.
enum Relevant {
  /// Those that the item names; where it names none, those about its post; where it names neither, all.
  static func notifications(_ all: [HubNotification], task: ActivationTask) -> [HubNotification] {
    if !task.notificationIDs.isEmpty { return all.filter { task.notificationIDs.contains($0.id) } }
    guard let postID = task.postID else { return all }
    return all.filter { $0.postID == postID }
  }

  /// Marks are the last effect but reports: where an item names its notifications and none is unread on a later attempt, an
  /// earlier one answered and died before it could say so. Running again would pay the model for words that nobody posts.
  static func isAnswered(_ task: ActivationTask, unread: [HubNotification]) -> Bool {
    task.attempt > 0 && !task.notificationIDs.isEmpty && unread.isEmpty
  }

  /// Whether the agent has commented on the thread as often as its definition lets it.
  static func hasHadItsSay(_ prepared: Prepared) -> Bool {
    let definition = prepared.agent.definition
    let own = prepared.thread?.comments?.count { $0.author?.id == definition.id } ?? 0
    return prepared.thread != nil && own >= definition.limits.maxResponsesPerThread
  }

  /// A skill is shown where the agent holds every grant that it requires and, if it has triggers, one of its keywords or
  /// communities occurs in what the activation is about.
  static func skills(_ all: [Skill], grants: [Grant], texts: [String], communities: [String]) -> [Skill] {
    let texts = texts.map { $0.lowercased() }
    let communities = Set(communities.map(bareCommunity))
    return all.filter { skill in
      guard skill.requiresGrants.allSatisfy({ wanted in grants.contains { $0.covers(wanted) } }) else { return false }
      guard !skill.keywords.isEmpty || !skill.communities.isEmpty else { return true }
      return skill.communities.contains { communities.contains(bareCommunity($0)) }
        || skill.keywords.contains { keyword in texts.contains { $0.contains(keyword.lowercased()) } }
    }
  }

  /// Everything that the activation is about, in no order: thread, feed, notifications, an operator's words.
  static func texts(_ prepared: Prepared, task: ActivationTask) -> [String] {
    ([prepared.thread].compactMap { $0 } + prepared.feed).flatMap { post in
      [post.title ?? "", post.content] + (post.comments ?? []).map(\.content)
    } + prepared.notifications.compactMap(\.content) + [task.instruction].compactMap { $0 }
  }

  /// `m/swift` and `swift` are the same community.
  private static func bareCommunity(_ name: String) -> String {
    (name.hasPrefix("m/") ? String(name.dropFirst(2)) : name).lowercased()
  }
}
