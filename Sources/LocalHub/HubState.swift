/// Everything the Hub knows, as a value: changes go in, answers come out. No clock, no file, no network.
struct HubState: Sendable {
  private(set) var posts: [StoredPost] = []
  private var postIndex: [String: Int] = [:]
  private(set) var comments: [String: [StoredPost]] = [:]
  private(set) var notifications: [StoredNotification] = []
  private(set) var read: Set<String> = []
  private(set) var agents: [String: StoredAgent] = [:]
  private(set) var consumption: [StoredConsumption] = []
  private(set) var given: [String: GivenAnswer] = [:]
  private var givenOrder: [String] = []
  private(set) var lastID = 0

  /// Answers under a key are remembered up to this many; the oldest go first.
  static let rememberedAnswers = 50_000

  /// Takes a change in. Changes that were applied in the same order give the same state.
  mutating func apply(_ change: HubChange) {
    if let agent = change.agent {
      agents[agent.id] = StoredAgent(
        id: agent.id, name: agent.name ?? agents[agent.id]?.name,
        last_activated_at: agent.last_activated_at ?? agents[agent.id]?.last_activated_at)
    }
    if let post = change.post {
      note(post.id)
      if let parent = post.parent_id {
        comments[parent, default: []].append(post)
      } else {
        postIndex[post.id] = posts.count
        posts.append(post)
      }
    }
    for notification in change.notifications ?? [] {
      note(notification.id)
      notifications.append(notification)
    }
    read.formUnion(change.read ?? [])
    if let use = change.consumption { consumption.append(use) }
    if let activated = change.activated { agents[activated.agent_id]?.last_activated_at = activated.at }
    if let answer = change.given {
      given[answer.key] = answer
      givenOrder.append(answer.key)
      if givenOrder.count > 2 * Self.rememberedAnswers {
        for key in givenOrder.prefix(Self.rememberedAnswers) { given[key] = nil }
        givenOrder.removeFirst(Self.rememberedAnswers)
      }
    }
  }

  /// Ids are a letter and one number that counts over all things, so that none is ever given twice, also after a restart.
  private mutating func note(_ id: String) {
    if let number = id.split(separator: "-").last.flatMap({ Int($0) }) { lastID = max(lastID, number) }
  }

  func post(_ id: String) -> StoredPost? { postIndex[id].map { posts[$0] } }

  /// The agent that `name` (lower case) means: its id or its name, in any case.
  func agent(mentionedAs name: String) -> StoredAgent? {
    agents[name]
      ?? agents.values.filter { $0.id.lowercased() == name || $0.name?.lowercased() == name }.min { $0.id < $1.id }
  }

  func author(_ id: String) -> Author { Author(id: id, name: agents[id]?.name) }

  /// Notifications that a text causes: a `mention` for each agent named in it; a `reply` for the agent whose post it
  /// answers, unless that one is mentioned anyway. Nobody is told of their own words.
  func notifications(for post: StoredPost, numberedFrom first: Int) -> [StoredNotification] {
    var told: [(agent: String, type: String)] = []
    for name in Mentions.names(in: [post.title, post.content].compactMap(\.self).joined(separator: "\n")) {
      if let agent = agent(mentionedAs: name), agent.id != post.author.id,
        !told.contains(where: { $0.agent == agent.id })
      {
        told.append((agent.id, "mention"))
      }
    }
    if let parent = post.parent_id.flatMap({ self.post($0) }), agents[parent.author.id] != nil,
      parent.author.id != post.author.id, !told.contains(where: { $0.agent == parent.author.id })
    {
      told.append((parent.author.id, "reply"))
    }
    return told.enumerated().map { index, entry in
      StoredNotification(
        id: "n-\(first + index)", type: entry.type, agent_id: entry.agent, post_id: post.parent_id ?? post.id,
        from_agent: post.author, content: post.content, created_at: post.created_at)
    }
  }

  func unreadCount(of agentID: String) -> Int {
    notifications.reduce(0) { $0 + ($1.agent_id == agentID && !read.contains($1.id) ? 1 : 0) }
  }

  /// Unread notifications by agent.
  func unreadCounts() -> [String: Int] {
    notifications.reduce(into: [:]) { counts, entry in
      if !read.contains(entry.id) { counts[entry.agent_id, default: 0] += 1 }
    }
  }

  /// Posts and comments, newest first, that hold every word of `query` in title or text, in any case.
  func search(_ query: String, community: String?, author: String?, limit: Int) -> [StoredPost] {
    let words = query.lowercased().split(whereSeparator: \.isWhitespace)
    var found: [StoredPost] = []
    for post in posts.reversed() where community == nil || post.community == community {
      for entry in [post] + (comments[post.id] ?? []).reversed() {
        if let author, entry.author.id != author, entry.author.name != author { continue }
        let text = [entry.title, entry.content].compactMap(\.self).joined(separator: "\n").lowercased()
        if words.allSatisfy({ text.contains($0) }) { found.append(entry) }
        if found.count == limit { return found }
      }
    }
    return found
  }

  /// Newest posts of these communities with any of these words; empty lists let everything pass. `excluding` leaves out
  /// posts that this agent answered (nil: that any agent answered).
  func discover(
    communities: [String], keywords: [String], excludeResponded: Bool, excluding agentID: String?, limit: Int
  ) -> [StoredPost] {
    var found: [StoredPost] = []
    for post in posts.reversed() {
      if !communities.isEmpty, !communities.contains(where: { $0 == post.community }) { continue }
      let text = [post.title, post.content].compactMap(\.self).joined(separator: "\n").lowercased()
      if !keywords.isEmpty, !keywords.contains(where: { text.contains($0.lowercased()) }) { continue }
      let answered = (comments[post.id] ?? []).contains { comment in
        agentID.map { $0 == comment.author.id } ?? (agents[comment.author.id] != nil)
      }
      if excludeResponded, answered || post.author.id == agentID { continue }
      found.append(post)
      if found.count == limit { break }
    }
    return found
  }

  /// US dollars that an agent used on the day (`2026-01-31`) or in the month (`2026-01`) that `prefix` names.
  func cost(of agentID: String, in prefix: String) -> Double {
    consumption.reduce(0) { $0 + ($1.agent_id == agentID && $1.created_at.hasPrefix(prefix) ? $1.cost_usd : 0) }
  }
}
