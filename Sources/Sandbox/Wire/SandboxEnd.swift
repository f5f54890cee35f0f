import Synchronization

/// An order to end one sandbox that can be given before it is made, while it runs and after it is over. Cancelling a task
/// ends a sandbox too, but loses its receipt.
public final class SandboxEnd: Sendable {
  private struct State {
    var isGiven = false
    var carry: (@Sendable () throws -> Void)?
  }
  private let state = Mutex(State())

  /// Not given yet.
  public init() {}

  /// Gives the order; the second time does nothing. A sandbox that is over already stays as it ended.
  /// - Throws: where the supervisor can't be told.
  public func give() throws {
    let carry = state.withLock { state in
      defer { state.isGiven = true }
      return state.isGiven ? nil : state.carry
    }
    try carry?()
  }

  /// Says how the order is carried out; at once, where it was given before.
  public func attach(_ carry: @escaping @Sendable () throws -> Void) throws {
    let isGiven = state.withLock { state in
      state.carry = carry
      return state.isGiven
    }
    if isGiven { try carry() }
  }
}
