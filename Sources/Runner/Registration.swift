import Logging
import Observe
import Redis
import Work

/// Keeps a runner process on the list of those that are there, from its start to its end.
struct Registration: Sendable {
  let queue: WorkQueue
  let identity: RunnerIdentity
  /// How often it says so.
  let every: Duration
  let fleet: Fleet
  let time: RunnerTime
  let metrics: Metrics
  let logger: Logger

  /// Says that it is there, now and then; once more when it is `stopping`; and goodbye when it is `over`. A queue that is away
  /// is asked again soon: nothing depends on this but what operators see, and where the coordinator sends work.
  func run(stopping: Latch, over: Latch) async {
    let started = time.now()
    while !over.isOpen, !Task.isCancelled {
      let isStopping = stopping.isOpen
      var pause = every
      do throws(RedisError) {
        let up = started.duration(to: time.now())
        fleet.note(runners: try await queue.register(identity, up: up, isStopping: isStopping).runners)
      } catch {
        failed("register", error)
        // Before it counts as lost.
        pause = min(every, .seconds(1))
      }
      let wait = pause
      await first(
        of: { try? await time.sleep(wait) }, { await over.wait() },
        { if isStopping { await over.wait() } else { await stopping.wait() } })
    }
    // Commands aren't cancelled with their task.
    do throws(RedisError) { try await queue.unregister(identity.id) } catch { failed("unregister", error) }
  }

  private func failed(_ operation: String, _ error: RedisError) {
    if error.kind == .closed { return }
    metrics.increment("botburrow_redis_errors_total", [("operation", operation)])
    logger.warning("the list of runners was not reached", metadata: ["operation": "\(operation)", "error": "\(error)"])
  }
}
