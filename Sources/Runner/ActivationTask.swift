import Work

/// What is to be done: a claimed work item, or what an operator asked for on the command line.
public struct ActivationTask: Sendable, Hashable {
  /// UUID, the same on every attempt.
  public var activationID: String
  /// Whose turn it is.
  public var agentID: String
  /// Answer somebody, or look around.
  public var type: TaskType
  /// The thread to answer in.
  public var postID: String?
  /// What to mark as read afterwards.
  public var notificationIDs: [String]
  /// 0 at the first try.
  public var attempt: Int
  /// Words of an operator; in the place of notifications.
  public var instruction: String?

  /// Makes a task.
  public init(
    activationID: String, agentID: String, type: TaskType, postID: String? = nil, notificationIDs: [String] = [],
    attempt: Int = 0, instruction: String? = nil
  ) {
    self.activationID = activationID
    self.agentID = agentID
    self.type = type
    self.postID = postID
    self.notificationIDs = notificationIDs
    self.attempt = attempt
    self.instruction = instruction
  }

  /// The task of a claimed item.
  public init(_ lease: Lease) {
    self.init(
      activationID: lease.activationID, agentID: lease.item.agentID, type: lease.item.taskType,
      postID: lease.item.postID, notificationIDs: lease.item.notificationIDs, attempt: lease.attempt)
  }
}
