import Glibc
import Testing

/// Every probe inside a sandbox of profile `default`, each with its control outside.
@Suite(.serialized, .playingGround, .enabled(if: geteuid() == 0, "namespaces and controls need root"))
struct HostileTests {
  @Test(.timeLimit(.minutes(1)), arguments: Probe.all) func holds(_ probe: Probe) async throws {
    let ground = try #require(Ground.current)
    let inside = try await ground.inside(probe)
    let held = probe.inside.contains(inside)
    #expect(held, "inside it answered '\(inside)' instead of \(probe.inside)")
    ground.count { tally in
      tally.probes += 1
      tally.held += held ? 1 : 0
    }
    guard let control = probe.control else { return }
    let outside = try ground.outside(probe, control)
    if let reason = control.unavailable[outside] {
      ground.count { $0.skipped.append("\(probe.testDescription): \(outside): \(reason)") }
      return
    }
    let worked = control.outside.contains(outside)
    #expect(worked, "outside it answered '\(outside)' instead of \(control.outside): the probe proves nothing")
    ground.count { $0.controls += worked ? 1 : 0 }
  }

  @Test func everyProbeCanFail() {
    #expect(Set(Probe.all.map(\.name)).count == Probe.all.count)
    for probe in Probe.all {
      // Where inside and outside answer alike, the probe can't tell a wall from none.
      guard let control = probe.control else { continue }
      #expect(Set(control.outside).isDisjoint(with: probe.inside), "\(probe.name)")
    }
  }
}

/// One ground for the whole suite, ended with it.
struct PlayingGround: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let ground = try Ground()
    let outcome: Result<Void, any Error>
    do {
      try await Ground.$current.withValue(ground) { try await function() }
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    print(try ground.end())
    try outcome.get()
  }
}

extension Trait where Self == PlayingGround {
  /// A running supervisor and its surroundings, for the whole suite.
  static var playingGround: Self { Self() }
}
