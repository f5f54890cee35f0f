import Work

/// One activation now, for an operator: no queue, no lease, the result in hand.
public struct ActivateOnce: Sendable {
  private let services: RunnerServices

  /// Uses these services; receipts are kept if they name a folder.
  public init(services: RunnerServices) { self.services = services }

  /// Runs `agentID` once.
  /// - Parameters:
  ///   - activationID: a fresh UUID.
  ///   - postID: the thread to talk about.
  ///   - instruction: the operator's words; nil lets the agent answer the thread, or explore where there is none.
  ///   - posts: whether the answer is posted as a comment on `postID`; otherwise it is only returned.
  public func run(
    agentID: String, activationID: String = ActivationID.random(), postID: String? = nil, instruction: String? = nil,
    posts: Bool = false
  ) async -> ActivationEnd {
    let type: TaskType = postID == nil && instruction == nil ? .exploration : .notification
    var activation = Activation(
      task: ActivationTask(
        activationID: activationID, agentID: agentID, type: type, postID: postID, instruction: instruction),
      services: services)
    activation.posts = posts
    let end = await activation.perform()
    activation.close(end)
    return end
  }
}
