import Linux
import Testing

@testable import Runner

@Suite("The term of a leased sandbox")
struct SandboxTermTests {
  @Test("lies a second before the lease's end, counted from before it was asked for")
  func term() {
    let now = ContinuousClock.now
    let boot = BootTime(nanoseconds: 100_000_000_000)
    let term = SandboxTerm.of(lease: .seconds(15), asked: now - .seconds(3), boot: boot, now: { now })
    #expect(boot.duration(to: term) == .seconds(11))
  }

  @Test("is past where the process stood still between asking and now")
  func stoodStill() {
    let now = ContinuousClock.now
    let boot = BootTime(nanoseconds: 100_000_000_000)
    #expect(SandboxTerm.of(lease: .seconds(15), asked: now - .seconds(20), boot: boot, now: { now }) < boot)
  }
}
