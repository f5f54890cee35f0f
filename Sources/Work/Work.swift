import JSON
import Redis

/// The pools of the seed; each has one list `runner:<pool>:work`.
public enum Pool: String, Sendable, Hashable, CaseIterable, Codable { case notification, exploration, hybrid }

public enum TaskType: String, Sendable, Hashable, Codable { case notification, exploration }

/// One piece of work as it stands in a list, read leniently (contracts.md); `raw` is never re-encoded.
public struct WorkItem: Sendable, Hashable {
  public enum Priority: String, Sendable, Hashable { case high, normal, low }
  public var activationID: String?
  public var agentID: String
  public var agentName: String?
  public var taskType: TaskType
  public var notificationIDs: [String]
  public var postID: String?
  public var priority: Priority
  /// Seconds since 1970.
  public var createdAt: Double?
  public var attempt: Int
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

/// A claimed item: nobody else runs it until `token` goes stale.
public struct Lease: Sendable, Hashable {
  /// The item's own id, or the one made at the claim; the same on every attempt.
  public var activationID: String
  public var token: String
  public var pool: Pool
  public var item: WorkItem
  /// The bytes as they came.
  public var raw: [UInt8]
  /// 0 at the first try.
  public var attempt: Int
  public init(activationID: String, token: String, pool: Pool, item: WorkItem, raw: [UInt8], attempt: Int) {
    self.activationID = activationID
    self.token = token
    self.pool = pool
    self.item = item
    self.raw = raw
    self.attempt = attempt
  }
}

public enum ClaimOutcome: Sendable { case claimed(Lease), empty, full, paused }

/// How an activation ended, for the queue.
public enum FinishOutcome: Sendable, Hashable {
  case done
  /// Again after `delay`; after the last attempt it goes to the dead letters with `reason`.
  case retry(reason: String, delay: Duration)
  case dead(reason: String)
}
