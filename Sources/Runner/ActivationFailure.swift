import Agents
import Hub
import Sandbox
import Work

/// Why an activation did not come to its end, and what the queue should do with its work.
public struct ActivationFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The word in `botburrow_activations_total{status}`.
  public enum Status: String, Sendable, Hashable {
    case failed
    case timeout
    case oom
    /// It used what it may use of its model.
    case budget
    /// The lease went to somebody else; this runner says and does nothing more.
    case lost
    /// The runner was told to stop.
    case cancelled
  }
  /// What the queue does with the work.
  public enum Remedy: Sendable, Hashable {
    /// Again, not before `after` where that is given.
    case retry(after: Duration?)
    /// Again after that time, however often: it is not the work's fault.
    case deferred(Duration)
    /// Never again by itself: it would fail the same way.
    case dead
  }
  /// For the metrics.
  public var status: Status
  /// For the queue.
  public var remedy: Remedy
  /// One sentence.
  public var description: String

  /// Makes a failure.
  public init(_ description: String, status: Status = .failed, remedy: Remedy = .retry(after: nil)) {
    self.description = description
    self.status = status
    self.remedy = remedy
  }

  static func dead(_ description: String) -> ActivationFailure {
    ActivationFailure(description, remedy: .dead)
  }

  /// The runner was told to stop, or nobody wants it any more.
  static let cancelled = ActivationFailure("the activation was cancelled", status: .cancelled)
  /// The lease is somebody else's.
  static let lost = ActivationFailure("the lease went to another runner", status: .lost)

  /// How long work waits for a Hub that could not be asked.
  static let hubAway = Duration.seconds(10)

  /// What a failed call to the Hub means for the activation: `step` says what it was needed for.
  static func hub(_ step: String, _ error: any Error) -> ActivationFailure {
    guard let error = error as? HubError else { return ActivationFailure("\(step): \(error)") }
    switch error.status {
    case 401, 403:
      return ActivationFailure("\(step): \(error); check HUB_API_KEY")
    case .some(200..<300):
      // It did what was asked and said it in words that can't be read; the same request again does no harm.
      return ActivationFailure("\(step): \(error)")
    case .some where !error.isTransient:
      return .dead("\(step): \(error)")
    default:
      // A Hub that is away costs time, not attempts.
      return ActivationFailure(
        "\(step): \(error)", remedy: .deferred(max(error.retryAfter ?? .zero, hubAway)))
    }
  }
}

/// What the queue is told. Pure.
enum Verdict {
  /// By chance (`jitter` from 0 to 1) between nothing and 2 s, 4 s, 8 s … up to 5 minutes, so that what failed together doesn't come
  /// back together; or as long as somebody asked for.
  static func delay(attempt: Int, atLeast: Duration?, jitter: Double) -> Duration {
    let exponential = Duration.seconds(min(300, 2 << min(max(attempt, 0), 10)))
    return max(exponential * min(max(jitter, 0), 1), atLeast ?? .zero)
  }

  static func outcome(
    of failure: ActivationFailure, attempt: Int, jitter: Double
  ) -> FinishOutcome {
    switch failure.remedy {
    case .dead: .dead(reason: failure.description)
    case .deferred(let delay): .deferred(reason: failure.description, delay: delay)
    case .retry(let after):
      .retry(
        reason: failure.description,
        delay: delay(attempt: attempt, atLeast: after, jitter: jitter))
    }
  }

  /// Why a run was ended by somebody else than its program; nil where the program ended by itself.
  static func failure(of exit: ExitCause) -> ActivationFailure? {
    switch exit {
    case .exited, .signal: nil
    case .timeout:
      ActivationFailure(
        "the agent ran into its time limit; raise 'sandbox.timeout' or the profile's", status: .timeout)
    case .oom:
      ActivationFailure("the agent ran out of memory; raise 'sandbox.memory' or the profile's", status: .oom)
    case .cancelled:
      ActivationFailure("the sandbox was ended before the agent was done", status: .cancelled)
    case .lapsed:
      ActivationFailure("the lease could not be renewed in time, so the sandbox was ended", status: .lost)
    case .setupFailed(let operation, let object, let reason):
      ActivationFailure("the sandbox could not be made: \(operation) \(object): \(reason)")
    }
  }
}
