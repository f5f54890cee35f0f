import Linux
import Logging
import Sandbox

/// Waits for a sandbox's receipt and has the sandbox ended when it is time: ended by an order, it brings its receipt all the
/// same. Only a supervisor that doesn't obey is hung up on.
struct SandboxWait: Sendable {
  /// Why we had it ended.
  enum Reason: Sendable, Hashable {
    /// Whoever wanted it doesn't any more.
    case cancelled
    /// Its time was over, and the supervisor had not ended it.
    case overdue
    /// Nothing more comes from its model.
    case modelIsOver
  }
  /// What came of it.
  struct Outcome: Sendable {
    var result: Result<SandboxResult, any Error>
    /// Nil where it ended by itself, or by the supervisor.
    var reason: Reason?
  }
  private enum Event: Sendable {
    case ended(Result<SandboxResult, any Error>)
    case due(Reason)
    /// The order was given, and no receipt came.
    case silence
    case nothing
  }

  let end: SandboxEnd
  let time: RunnerTime
  let logger: Logger
  /// How long the receipt may take after the order.
  let grace: Duration

  /// Runs a sandbox to its end, which the first reason brings on. Cancelling the task gives no order: see `toItsEnd`.
  func run(
    until reasons: [@Sendable () async throws -> Reason?],
    _ sandbox: @escaping @Sendable (SandboxEnd) async throws -> SandboxResult
  ) async -> Outcome {
    let end = self.end
    // No child of the group: there it would be cancelled with those that wait beside it.
    let running = Task { try await sandbox(end) }
    return await withTaskGroup(of: Event.self) { group in
      group.addTask { .ended(await running.result) }
      for reason in reasons {
        // What throws was given up: it has nothing to say.
        group.addTask { (try? await reason()).flatMap { $0 }.map { .due($0) } ?? .nothing }
      }
      var reason: Reason?
      for await event in group {
        switch event {
        case .ended(let result):
          group.cancelAll()
          return Outcome(result: result, reason: reason)
        case .due(let due):
          guard reason == nil else { continue }
          reason = due
          order()
          group.addTask { [time, grace] in
            do { try await time.sleep(grace) } catch { return .nothing }
            return .silence
          }
        case .silence:
          // Hangs up: the supervisor, where it is one, ends the sandbox, and nobody waits for a receipt any more.
          running.cancel()
        case .nothing: break
        }
      }
      return Outcome(result: await running.result, reason: reason)
    }
  }

  private func order() {
    do {
      try end.give()
    } catch {
      // The connection is gone: the sandbox's task is about to tell with what.
      logger.warning("the supervisor was not told to end the sandbox", metadata: ["error": "\(error)"])
    }
  }

  /// After so long, it is overdue; never where there is no limit.
  func overdue(after limit: Duration?) -> @Sendable () async throws -> Reason? {
    { [time] in
      guard let limit else { return nil }
      try await time.sleep(limit)
      return .overdue
    }
  }

  /// Once the latch opens.
  static func cancelled(by latch: Latch) -> @Sendable () async throws -> Reason? {
    {
      await latch.wait()
      return latch.isOpen ? .cancelled : nil
    }
  }
}
