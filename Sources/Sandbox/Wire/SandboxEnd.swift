import Linux
import Synchronization

/// When one sandbox ends from outside: at an order, or at its term, which can be put off. Both can be said before it is
/// made, while it runs and after it is over. Cancelling a task ends a sandbox too, but loses its receipt.
public final class SandboxEnd: Sendable {
  private struct Carrier {
    var end: @Sendable () throws -> Void
    var postpone: @Sendable (BootTime) throws -> Void
  }
  private struct State {
    var isGiven = false
    var term: BootTime?
    var carrier: Carrier?
  }
  private let state: Mutex<State>

  /// No order is given yet.
  /// - Parameter term: the supervisor ends the sandbox then, whether we still run or not; nil: only its time limit counts.
  public init(term: BootTime? = nil) { state = Mutex(State(term: term)) }

  /// When it ends unless that is put off.
  public var term: BootTime? { state.withLock { $0.term } }

  /// Gives the order; the second time does nothing. A sandbox that is over already stays as it ended.
  /// - Throws: where the supervisor can't be told.
  public func give() throws {
    let carrier = state.withLock { state in
      defer { state.isGiven = true }
      return state.isGiven ? nil : state.carrier
    }
    try carrier?.end()
  }

  /// Puts the term off; an earlier one than before changes nothing.
  /// - Throws: where the supervisor can't be told.
  public func postpone(to term: BootTime) throws {
    let carrier: Carrier? = state.withLock { state in
      guard let before = state.term, before < term else { return nil }
      state.term = term
      return state.carrier
    }
    try carrier?.postpone(term)
  }

  /// Says how both get to the supervisor; at once, what was said before.
  /// - Parameter requested: the term that the supervisor was told already.
  public func attach(
    requested: BootTime?, end: @escaping @Sendable () throws -> Void,
    postpone: @escaping @Sendable (BootTime) throws -> Void
  ) throws {
    let carrier = Carrier(end: end, postpone: postpone)
    let (isGiven, term) = state.withLock { state in
      state.carrier = carrier
      return (state.isGiven, state.term)
    }
    if isGiven { try carrier.end() }
    if let term, term != requested { try carrier.postpone(term) }
  }
}
