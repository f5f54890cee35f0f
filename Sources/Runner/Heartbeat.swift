import Logging

/// Keeps a lease while an activation runs, and says when it is lost.
struct Heartbeat: Sendable {
  /// How long a lease lasts without a beat.
  let lease: Duration
  /// From before the lease was asked for: a process that stood still since then knows that it holds nothing any more.
  let claimed: ContinuousClock.Instant
  /// False: the lease is somebody else's. Throws while the queue is away.
  let beat: @Sendable () async throws -> Bool
  /// Hears of each beat that was granted, with the moment before it was asked for.
  var granted: @Sendable (ContinuousClock.Instant) -> Void = { _ in }
  /// Returns when there is something that is worth a beat before its time, or the task is cancelled; nil: there never is.
  var news: (@Sendable () async -> Void)?
  let time: RunnerTime
  let logger: Logger

  /// So long after one beat there is no other, whatever is new: what lasts no longer costs Redis nothing.
  static let shortest = Duration.seconds(1)

  /// Beats at a third of the lease, and sooner where there are news, until the task is cancelled or the lease is lost, then returns.
  ///
  /// While the queue can't be reached the lease is held to be ours until it must have ended by our own clock, counted from
  /// before the last beat that was heard: from then on somebody else may have it.
  func run() async {
    var renewed = claimed
    while true {
      let wait = min(lease / 3, max(.zero, time.now().duration(to: renewed.advanced(by: lease))))
      do { try await pause(wait) } catch { return }
      let asked = time.now()
      do {
        guard try await beat() else { return }
        renewed = asked
        granted(asked)
      } catch {
        if Task.isCancelled { return }
        logger.warning("heartbeat failed", metadata: ["error": "\(error)"])
        if renewed.duration(to: time.now()) >= lease { return }
      }
    }
  }

  private func pause(_ wait: Duration) async throws {
    guard let news, wait > Self.shortest else { return try await time.sleep(wait) }
    await first(
      of: { try? await time.sleep(wait) },
      {
        // Cancelled, where the other came first.
        do { try await time.sleep(Self.shortest) } catch { return }
        await news()
      })
    try Task.checkCancellation()
  }
}
