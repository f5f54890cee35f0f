import Synchronization
import Testing

@testable import Runner

/// A clock that goes forward only when somebody sleeps.
final class ManualTime: Sendable {
  private let start = ContinuousClock.now
  private let passed = Mutex<Duration>(.zero)
  private let slept = Mutex<[Duration]>([])
  /// After so many sleeps the sleeper's task counts as cancelled.
  let limit: Int
  init(limit: Int = 100) { self.limit = limit }
  var sleeps: [Duration] { slept.withLock { $0 } }
  func advance(_ duration: Duration) { passed.withLock { $0 += duration } }
  var time: RunnerTime {
    RunnerTime(
      now: { self.start + self.passed.withLock { $0 } }, wallClock: { 0 },
      sleep: { duration in
        let count = self.slept.withLock {
          $0.append(duration)
          return $0.count
        }
        guard count <= self.limit else { throw CancellationError() }
        self.advance(duration)
      })
  }
}

@Suite("The heartbeat")
struct HeartbeatTests {
  func heartbeat(_ manual: ManualTime, _ beat: @escaping @Sendable () async throws -> Bool) -> Heartbeat {
    Heartbeat(
      lease: .seconds(15), claimed: manual.time.now(), beat: beat, time: manual.time, logger: LogCatcher().logger)
  }

  @Test("beats at a third of the lease until it is stopped")
  func thirds() async {
    let manual = ManualTime(limit: 6)
    let beats = Mutex(0)
    await heartbeat(manual) {
      beats.withLock { $0 += 1 }
      return true
    }.run()
    #expect(beats.withLock { $0 } == 6)
    #expect(manual.sleeps.prefix(6).allSatisfy { $0 == .seconds(5) })
  }

  @Test("a refused beat ends it at once")
  func refused() async {
    let manual = ManualTime()
    await heartbeat(manual) { false }.run()
    #expect(manual.sleeps == [.seconds(5)])
  }

  @Test("a queue that is away is borne for one lease, counted from the last beat that was heard")
  func away() async {
    let manual = ManualTime()
    let beats = Mutex(0)
    await heartbeat(manual) {
      let count = beats.withLock {
        $0 += 1
        return $0
      }
      if count > 2 { throw Unexpected("away") }
      return true
    }.run()
    // Heard at 5 s and 10 s; lost at 25 s.
    #expect(manual.sleeps.reduce(.zero, +) == .seconds(25))
  }

  @Test("a process that stood still for longer than its lease asks at once")
  func stoodStill() async {
    let manual = ManualTime()
    let claimed = manual.time.now()
    manual.advance(.seconds(20))
    await Heartbeat(
      lease: .seconds(15), claimed: claimed, beat: { false }, time: manual.time, logger: LogCatcher().logger
    ).run()
    #expect(manual.sleeps == [.zero])
  }

  @Test("tells of each beat that was granted, as of before it was asked for")
  func granted() async {
    let manual = ManualTime(limit: 4)
    let claimed = manual.time.now()
    let heard = Mutex<[Duration]>([])
    let beats = Mutex(0)
    await Heartbeat(
      lease: .seconds(15), claimed: claimed,
      beat: {
        let count = beats.withLock {
          $0 += 1
          return $0
        }
        manual.advance(.seconds(1))
        if count == 2 { throw Unexpected("away") }
        return true
      }, granted: { asked in heard.withLock { $0.append(claimed.duration(to: asked)) } }, time: manual.time,
      logger: LogCatcher().logger
    ).run()
    #expect(heard.withLock { $0 } == [.seconds(5), .seconds(17), .seconds(23)])
  }

  @Test("a queue that comes back in time is no loss")
  func back() async {
    let manual = ManualTime(limit: 8)
    let beats = Mutex(0)
    await heartbeat(manual) {
      let count = beats.withLock {
        $0 += 1
        return $0
      }
      if count % 3 != 0 { throw Unexpected("away") }
      return true
    }.run()
    #expect(beats.withLock { $0 } == 8)
  }
}
