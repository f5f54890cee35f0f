import Redis
import Synchronization

/// The leader's lock, `coordinator:leader`: at most one coordinator's writes are accepted at any time.
///
/// The lock holds `epoch:nonce`, where the epoch only grows; every script that writes for the leader compares it, so that a
/// coordinator that was stopped for a minute writes nothing when it wakes up. Call `campaign()` about every `ttl / 3`.
public final class Leader: Sendable {
  private struct Held {
    var fence: Fence
    /// By this process's own clock (CLOCK_BOOTTIME, so a suspended machine's sleep counts), from before the lock was asked for.
    var until: ContinuousClock.Instant
  }
  private let queue: WorkQueue
  private let ttl: Duration
  private let nonce: String
  private let now: @Sendable () -> ContinuousClock.Instant
  private let held = Mutex<Held?>(nil)

  /// - Parameters:
  ///   - ttl: how long the lock outlives a leader that died; it steps down by its own clock a tenth earlier.
  ///   - nonce: what no other coordinator has.
  public init(
    _ queue: WorkQueue, ttl: Duration = .seconds(10), nonce: String = ActivationID.random(),
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.queue = queue
    self.ttl = ttl
    self.nonce = nonce
    self.now = now
  }

  /// The fence to write with; nil while this coordinator does not lead, as far as its own clock can tell.
  public var fence: Fence? {
    let instant = now()
    return held.withLock { $0.flatMap { instant < $0.until ? $0.fence : nil } }
  }

  /// Renews the lock where it is held, and takes it where nobody has it. An error leaves the lock to run out by the clock.
  @discardableResult
  public func campaign() async throws(RedisError) -> Fence? {
    let asked = now()
    let until = asked + ttl * 9 / 10
    if let mine = held.withLock({ $0?.fence }) {
      if try await lead("renew", mine.value).integer == 1 {
        held.withLock { $0 = Held(fence: mine, until: until) }
        return fence
      }
      held.withLock { $0 = nil }
    }
    let taken = try await lead("campaign", nonce).string ?? ""
    guard !taken.isEmpty else { return nil }
    held.withLock { $0 = Held(fence: Fence(value: taken), until: until) }
    return fence
  }

  /// Waits until a leader gives the lock up, or `limit` has passed. Wakes everybody who waits, and promises nothing: campaign again.
  /// - Returns: false after `limit`. Ends at once with `.cancelled` when its task is cancelled.
  @discardableResult
  public func waitForVacancy(atMost limit: Duration) async throws(RedisError) -> Bool {
    try await queue.room.wait(
      forHeadOf: ["botburrow:leader:vacant"], orResumeAfter: nil, atMost: limit)
  }

  /// Gives the lock up, and wakes those who wait for it.
  public func resign() async throws(RedisError) {
    guard
      let mine = held.withLock({ held in
        defer { held = nil }
        return held?.fence
      })
    else { return }
    _ = try await lead("resign", mine.value)
  }

  private func lead(_ what: RedisArgument, _ who: String) async throws(RedisError) -> RedisValue {
    try await queue.connection.script(
      Scripts.lead, arguments: [what, RedisArgument(who), RedisArgument(ttl.milliseconds)])
  }
}
