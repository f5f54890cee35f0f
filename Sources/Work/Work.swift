/// The pools of the seed; each has one list `runner:<pool>:work`.
public enum Pool: String, Sendable, Hashable, CaseIterable, Codable {
  case notification, exploration, hybrid

  /// The lists that a runner of this pool serves, in the order in which it looks: a hybrid runner takes the others' overflow.
  public var served: [Pool] {
    switch self {
    case .notification: [.notification]
    case .exploration: [.exploration]
    case .hybrid: [.hybrid, .notification, .exploration]
    }
  }

  /// The list that holds this pool's work: oldest at the right.
  public var list: String { "runner:\(rawValue):work" }
}

/// Why an agent is activated.
public enum TaskType: String, Sendable, Hashable, Codable { case notification, exploration }

/// A claimed item: nobody else runs it until `token` goes stale.
public struct Lease: Sendable, Hashable {
  /// The item's own id, or the one made at the claim; the same on every attempt.
  public var activationID: String
  /// What `beat` and `finish` must show; new at each claim.
  public var token: String
  /// The list that the item came from and goes back to.
  public var pool: Pool
  /// The item as read from `raw`.
  public var item: WorkItem
  /// The bytes as they came.
  public var raw: [UInt8]
  /// 0 at the first try.
  public var attempt: Int
  /// Items that waited for the same agent with the same purpose and are done with this one; `item` has their notifications.
  public var merged: [MergedItem]
  /// Makes a lease.
  public init(
    activationID: String, token: String, pool: Pool, item: WorkItem, raw: [UInt8], attempt: Int,
    merged: [MergedItem] = []
  ) {
    self.merged = merged
    self.activationID = activationID
    self.token = token
    self.pool = pool
    self.item = item
    self.raw = raw
    self.attempt = attempt
  }
}

/// An item that became part of another's activation, and ends with it.
public struct MergedItem: Sendable, Hashable {
  /// Its own id, or the one made at its claim.
  public var id: String
  /// The bytes as they came.
  public var raw: [UInt8]
}

/// What a claim gave.
public enum ClaimOutcome: Sendable, Hashable {
  case claimed(Lease)
  /// No work in the lists that this runner serves.
  case empty
  /// A cap is reached: the system's or this runner's own.
  case full
  /// An operator paused the system, this runner, or every pool that it serves.
  case paused
}

/// How an activation ended, for the queue.
public enum FinishOutcome: Sendable, Hashable {
  case done
  /// Over for its agent; what of its outbox is not delivered yet is left to any runner, from `after` on.
  case delivering(after: Duration)
  /// Again after `delay`; after the last attempt it goes to the dead letters with `reason`.
  case retry(reason: String, delay: Duration)
  /// Again after `delay`, and the attempt does not count: something that the activation needs was not there.
  case deferred(reason: String, delay: Duration)
  case dead(reason: String)
}
