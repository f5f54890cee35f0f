/// Hears what is published on one channel, over a connection of its own.
///
/// Pub/sub keeps nothing: who isn't there when something is said never hears of it. So each time that the connection is made
/// again is an event too.
public final class RedisSubscription: Sendable {
  /// What happens on the channel.
  public enum Event: Sendable, Hashable {
    /// From now on everything is heard; what was said before may have been missed.
    case subscribed
    /// Somebody said this.
    case message([UInt8])
    /// Nothing is heard until the next `subscribed`, which is tried for again and again.
    case lost(RedisError)
  }
  private let connection: RedisConnection
  private let channel: String
  private let backoff: Backoff
  private let jitter: @Sendable () -> Double
  /// How long nothing may be heard before the server is asked whether it is there.
  private let silence: Duration

  /// Connects when it is run.
  /// - Parameters:
  ///   - backoff: between two tries.
  ///   - silence: how long nothing may be heard before the server is asked whether it is there. It has `commandTimeout` to say
  ///     anything.
  ///   - jitter: chance for the back-off, from 0 to 1.
  public init(
    _ url: RedisURL, channel: String, commandTimeout: Duration = .seconds(5),
    backoff: Backoff = Backoff(first: .milliseconds(100), last: .seconds(5)), silence: Duration = .seconds(60),
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    connection = RedisConnection(url, commandTimeout: commandTimeout, jitter: jitter)
    self.channel = channel
    self.backoff = backoff
    self.silence = silence
    self.jitter = jitter
  }

  /// Tells what happens, one event after the other, until its task is cancelled. Once only: the connection ends with it.
  public func run(_ hear: @Sendable (Event) async -> Void) async {
    defer { connection.close() }
    var failures = 0
    while !Task.isCancelled {
      var since: ContinuousClock.Instant?
      do throws(RedisError) {
        _ = try await connection.blockingCommand(["SUBSCRIBE", RedisArgument(channel)], wait: .zero)
        since = .now
        await hear(.subscribed)
        while true {
          let said = try await connection.blockingCommand([], wait: silence)
          if let message = message(said) { await hear(.message(message)) }
        }
      } catch {
        if error.kind == .cancelled || error.kind == .closed { return }
        failures = backoff.failures(after: failures, lasted: since?.duration(to: .now))
        await hear(.lost(error))
        do { try await Task.sleep(for: backoff.delay(failures: failures, jitter: jitter())) } catch { return }
      }
    }
  }

  /// The words of somebody who published.
  private func message(_ said: RedisValue) -> [UInt8]? {
    guard let parts = said.array, parts.count == 3, parts[0].string == "message", parts[1].string == channel else {
      return nil
    }
    return parts[2].bytes
  }
}
