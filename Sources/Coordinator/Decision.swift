import Agents
import Hub
import Work

/// What to do with one unread notification. Made without looking at anything but its arguments.
public enum Decision: Sendable, Hashable {
  /// Activate the agent.
  case answer(WorkItem.Priority)
  /// Nobody will ever act on it: mark it read, so that it does not come back with every poll.
  case markRead(Ignored)
  /// Leave it unread: somebody may still make it answerable.
  case leave(Left)

  /// Why a notification is marked read without an answer.
  public enum Ignored: String, Sendable, Hashable {
    /// A follow or a like asks for nothing.
    case informational
    /// The definition's `respond_to_…` is off; turning it on later is not meant to answer months of old mentions.
    case switchedOff = "switched_off"
    /// The agent's own words mention itself; answering would never end.
    case ownWords = "own_words"
    /// An activation answered it; only the read-mark is missing.
    case answered
  }
  /// Why a notification stays unread.
  public enum Left: String, Sendable, Hashable {
    /// A type that this program does not know; another may.
    case unknownType = "unknown_type"
    /// The Hub knows the agent, the definitions don't: it may be about to be published.
    case unknownAgent = "unknown_agent"
    /// The definition can't be read; once repaired, its mentions are answered.
    case brokenDefinition = "broken_definition"
    /// Its work item waits or runs.
    case queued
    /// Its work item is in the dead letters, where an operator decides.
    case dead
    /// The agent's budget is exhausted; it is answered when the Hub calls the budget healthy again.
    case budget = "budget_exhausted"
    /// The agent has commented as often as it may on a day; it is answered tomorrow (UTC).
    case dailyLimit = "daily_limit"
  }

  /// The word that stands in the metric's label `decision`.
  public var word: String {
    switch self {
    case .answer: "answer"
    case .markRead(let reason): reason.rawValue
    case .leave(let reason): reason.rawValue
    }
  }
}

/// What the definitions say of an agent.
public enum KnownAgent: Sendable, Hashable {
  case defined(AgentDefinition)
  /// Not in the definitions.
  case unknown
  /// There, but not readable.
  case broken
}

/// Decides about one notification: what the queue knows of it, then who it is for, then what it asks.
public func decide(_ notification: HubNotification, agent: KnownAgent, state: NotificationState?) -> Decision {
  switch state {
  case .waiting: return .leave(.queued)
  case .done: return .markRead(.answered)
  case .dead: return .leave(.dead)
  case nil: break
  }
  guard case .defined(let definition) = agent else {
    return .leave(agent == .broken ? .brokenDefinition : .unknownAgent)
  }
  let wanted: (on: Bool, priority: WorkItem.Priority)
  switch notification.type {
  case "mention": wanted = (definition.respondToMentions, .high)
  case "dm": wanted = (definition.respondToDMs, .high)
  case "reply", "comment": wanted = (definition.respondToReplies, .normal)
  case "thread_update": wanted = (definition.respondToReplies, .low)
  case "follow", "like": return .markRead(.informational)
  default: return .leave(.unknownType)
  }
  if notification.from?.id == notification.agentID { return .markRead(.ownWords) }
  return wanted.on ? .answer(wanted.priority) : .markRead(.switchedOff)
}

extension Decision {
  /// What is left of it under the definition's `limits.max_daily_comments`.
  public func within(_ limits: AgentDefinition.Limits, said: SaidToday?) -> Decision {
    if case .answer = self, let said, said.comments >= limits.maxDailyComments { return .leave(.dailyLimit) }
    return self
  }

  var isAnswer: Bool { if case .answer = self { true } else { false } }

  /// What is left of it under the agent's budget: an exhausted one waits where nothing is lost and nobody blocked, in the inbox.
  public func within(_ budget: BudgetState?) -> Decision {
    if case .answer = self, budget == .exhausted { return .leave(.budget) }
    return self
  }
}

/// Makes one work item of all notifications of one agent about one post; one without a post stands alone. The order of the first
/// of each group stays.
/// - Parameter now: seconds since 1970.
public func workItems(
  _ answers: [(notification: HubNotification, priority: WorkItem.Priority)], now: Double, makeID: () -> String
) -> [WorkItem] {
  struct Group: Hashable {
    var agent: String
    var about: String
  }
  var items: [WorkItem] = []
  var places: [Group: Int] = [:]
  for (notification, priority) in answers {
    let about = notification.postID.map { "post/\($0)" } ?? "notification/\(notification.id)"
    let group = Group(agent: notification.agentID, about: about)
    if let place = places[group] {
      if !items[place].notificationIDs.contains(notification.id) {
        items[place].notificationIDs.append(notification.id)
      }
      if priority.rank > items[place].priority.rank { items[place].priority = priority }
      continue
    }
    places[group] = items.count
    items.append(
      WorkItem(
        activationID: makeID(), agentID: notification.agentID, agentName: notification.agentName,
        taskType: .notification,
        notificationIDs: [notification.id], postID: notification.postID, priority: priority, createdAt: now))
  }
  return items
}
