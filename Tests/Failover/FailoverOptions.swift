/// What is done to leaders.
package enum Blow: String, CaseIterable, Sendable {
  /// SIGSTOP in the middle of its work, for longer than its lock lasts, then SIGCONT.
  case stopped = "stopped beyond its lock"
  /// SIGKILL.
  case killed = "killed (SIGKILL)"
  /// SIGTERM.
  case ended = "ended in order (SIGTERM)"

  /// Seconds from the blow to the next leader's first write, that 99 in 100 must keep; nil: none is promised.
  package var bound: Double? {
    switch self {
    case .stopped: nil
    case .killed: 13
    case .ended: 1
    }
  }
}

/// How much is done.
package struct FailoverOptions: Sendable {
  /// Directory of botburrow.
  package var programs: String
  /// How often each.
  package var counts: [Blow: Int] = [.killed: 50, .ended: 50, .stopped: 50]
  /// Systems beside each other, each with a Redis, a Hub and coordinators of its own.
  package var systems = 10
  /// In each system.
  package var coordinators = 3
  /// Where chance begins.
  package var seed: UInt64 = 1
  /// Keeps all logs here, also where nothing went wrong; nil: below /tmp, and only then.
  package var logs: String?

  /// How long the lock of a leader lasts that doesn't renew it (docs/queue.md).
  static let lockTime = Duration.seconds(10)

  /// The standard run of the programs in a directory.
  package init(programs: String) { self.programs = programs }
}

/// The run could not be made, or a part of it did not come to its end.
struct FailoverError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
