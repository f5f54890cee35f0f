import JSON

/// One piece of work as it stands in a list, read leniently (docs/queue.md); its bytes are never re-encoded.
public struct WorkItem: Sendable, Hashable {
  /// How urgent; missing means normal.
  public enum Priority: String, Sendable, Hashable { case high, normal, low }
  /// The producer's id of the activation; nil where it left it out.
  public var activationID: String?
  /// Whom to activate.
  public var agentID: String
  /// The agent's name, for people.
  public var agentName: String?
  /// Why.
  public var taskType: TaskType
  /// The notifications that this activation answers.
  public var notificationIDs: [String]
  /// The thread that they are about.
  public var postID: String?
  /// How urgent.
  public var priority: Priority
  /// Seconds since 1970.
  public var createdAt: Double?
  /// The attempt that the producer counted; ours is in the lease.
  public var attempt: Int
  /// Makes an item.
  public init(
    activationID: String?, agentID: String, agentName: String? = nil, taskType: TaskType,
    notificationIDs: [String] = [], postID: String? = nil, priority: Priority = .normal, createdAt: Double? = nil,
    attempt: Int = 0
  ) {
    self.activationID = activationID
    self.agentID = agentID
    self.agentName = agentName
    self.taskType = taskType
    self.notificationIDs = notificationIDs
    self.postID = postID
    self.priority = priority
    self.createdAt = createdAt
    self.attempt = attempt
  }
}

/// An item that can't be read, or not be written.
public struct WorkItemError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, at which key: one sentence, the same as the claim script's.
  public let description: String
  /// Makes an error that reads as `description`.
  public init(_ description: String) { self.description = description }
}

extension WorkItem {
  /// Reads an item from a list. `read_item` in `Scripts/common.lua` reads the same way inside Redis; change both.
  ///
  /// `null` counts as missing, `inbox` and `discovery` are synonyms of notification and exploration, and a missing
  /// task type follows from the pool: exploration in its own list, notification elsewhere. Unknown keys are left alone.
  public init(parsing raw: [UInt8], pool: Pool = .notification) throws(WorkItemError) {
    let value: JSONValue
    do { value = try JSONValue(parsing: raw) } catch { throw WorkItemError("the work item is not JSON") }
    guard case .object(let all) = value else { throw WorkItemError("the work item is not a JSON object") }
    let members = all.filter { $0.value != .null }

    guard members["agent_id"] != nil else { throw WorkItemError("'agent_id' is missing") }
    agentID = try Self.name("agent_id", members) ?? ""
    activationID = try Self.name("activation_id", members)
    agentName = try Self.text("agent_name", members)
    let task = try Self.text("task_type", members)
    postID = try Self.text("post_id", members)
    let urgency = try Self.text("priority", members)

    notificationIDs = []
    if let value = members["notification_ids"] {
      guard let ids = value.array?.map(\.string), !ids.contains(nil) else {
        throw WorkItemError("'notification_ids' is not an array of strings")
      }
      notificationIDs = ids.compactMap { $0 }
    }
    switch task {
    case nil: taskType = pool == .exploration ? .exploration : .notification
    case "notification", "inbox": taskType = .notification
    case "exploration", "discovery": taskType = .exploration
    case .some(let task):
      throw WorkItemError("'task_type' is '\(task)'; known are notification, exploration, inbox and discovery")
    }
    guard let priority = Priority(rawValue: urgency ?? "normal") else {
      throw WorkItemError("'priority' is '\(urgency ?? "")'; known are high, normal and low")
    }
    self.priority = priority
    attempt = 0
    if let value = members["attempt"] {
      guard let number = value.integer, (0...1_000_000).contains(number) else {
        throw WorkItemError("'attempt' is not a whole number from 0 to 1000000")
      }
      attempt = Int(number)
    }
    if let value = members["created_at"] {
      guard let seconds = value.double ?? value.string.flatMap(ISO8601.seconds) else {
        throw WorkItemError("'created_at' is neither seconds since 1970 nor an ISO 8601 time")
      }
      createdAt = seconds
    }
  }

  /// Takes another item's notifications in, which this one's activation answers too. One without any asks for the whole inbox, and
  /// so does what it is merged with.
  mutating func merge(_ other: WorkItem) {
    if notificationIDs.isEmpty || other.notificationIDs.isEmpty {
      notificationIDs = []
    } else {
      notificationIDs += other.notificationIDs.filter { !notificationIDs.contains($0) }
    }
    if other.priority.rank > priority.rank { priority = other.priority }
  }

  /// The item as one JSON object on one line, as our own coordinator queues it.
  public func encoded() throws(WorkItemError) -> [UInt8] {
    var members: [String: JSONValue] = [
      "agent_id": .string(agentID), "task_type": .string(taskType.rawValue),
      "notification_ids": .array(notificationIDs.map { .string($0) }), "priority": .string(priority.rawValue),
      "attempt": .integer(Int64(attempt)),
    ]
    members["activation_id"] = activationID.map { .string($0) }
    members["agent_name"] = agentName.map { .string($0) }
    members["post_id"] = postID.map { .string($0) }
    members["created_at"] = createdAt.map { .number($0) }
    do { return try JSON.encode(JSONValue.object(members)) } catch { throw WorkItemError(error.description) }
  }

  private static func text(_ key: String, _ members: [String: JSONValue]) throws(WorkItemError) -> String? {
    guard let value = members[key] else { return nil }
    guard let text = value.string else { throw WorkItemError("'\(key)' is not a string") }
    return text
  }

  /// Ids become parts of Redis keys, bucket keys and paths.
  private static func name(_ key: String, _ members: [String: JSONValue]) throws(WorkItemError) -> String? {
    guard let text = try text(key, members) else { return nil }
    guard isName(text) else {
      throw WorkItemError("'\(key)' is not 1 to 128 characters without '/', spaces and control characters")
    }
    return text
  }

  /// Whether `text` may be an agent's or an activation's id: 1 to 128 bytes, no `/`, space or control character, not `.`
  /// or `..`.
  public static func isName(_ text: String) -> Bool {
    let bytes = text.utf8
    return (1...128).contains(bytes.count) && text != "." && text != ".."
      && !bytes.contains { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") }
  }
}

extension WorkItem.Priority {
  /// The greater, the sooner.
  public var rank: Int {
    switch self {
    case .low: 0
    case .normal: 1
    case .high: 2
    }
  }
}
