/// How the Hub is asked for notifications next. Pure: time is an argument.
///
/// The seed's poll reads all that is unread, over and over. A Hub with a long poll says who has something as soon as there is something;
/// then the seed's poll is only made now and then, for what a long poll leaves out (it names so many agents at most).
struct PollPlan: Sendable {
  typealias Instant = ContinuousClock.Instant
  enum Step: Equatable {
    /// The seed's poll.
    case sweep
    /// Wait at the Hub.
    case longPoll
    /// Nothing until then.
    case rest(until: Instant)
  }
  /// `coordinator.poll_interval`.
  let interval: Duration
  private var lastSweep: Instant?
  private var withoutLongPollUntil: Instant?

  /// How long a Hub that has no long poll is believed to have none.
  static let absence = Duration.seconds(600)
  /// How long a long poll that failed is left alone.
  static let trouble = Duration.seconds(60)
  /// Where more agents have something than this, one poll of all is cheaper than one inbox each.
  static let mostInboxes = 16
  static let batchSize = 100
  static let waitSeconds = 30

  init(interval: Duration) { self.interval = interval }

  func next(_ now: Instant) -> Step {
    guard let lastSweep else { return .sweep }
    let hasLongPoll = withoutLongPollUntil.map { now >= $0 } ?? true
    let due = lastSweep + (hasLongPoll ? max(interval * 10, .seconds(300)) : interval)
    if now >= due { return .sweep }
    return hasLongPoll ? .longPoll : .rest(until: due)
  }

  /// All was read.
  mutating func swept(_ started: Instant) { lastSweep = started }
  /// There is no long poll here.
  mutating func longPollIsMissing(_ now: Instant) { withoutLongPollUntil = now + Self.absence }
  /// The long poll failed; the seed's may work.
  mutating func longPollFailed(_ now: Instant) { withoutLongPollUntil = now + Self.trouble }

  /// When to wait at the Hub again after a long poll that began then and brought nothing new: what is unread because its
  /// work runs makes the Hub answer at once, again and again.
  func pace(_ started: Instant) -> Instant { started + min(interval, .seconds(1)) }
}
