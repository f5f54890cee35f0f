import Glibc
import Hostile
import Testing

/// Every probe inside a sandbox of profile `default`, each with its control outside, by the programs built beside the
/// tests. `make hostile` runs all profiles with release binaries.
@Suite(.enabled(if: geteuid() == 0, "namespaces and controls need root"))
struct HostileTests {
  @Test(.timeLimit(.minutes(5))) func everyWallHolds() async throws {
    let ground = try Ground(.init(programs: Ground.Places.besideUs, profiles: Self.profiles))
    let findings = try await Suite(ground).run(profile: "default")
    #expect(try ground.end() == [])
    let report = Report([.init(profile: "default", findings: findings)])
    for trouble in report.troubles { Issue.record("\(trouble)") }
    let part = report.parts[0]
    #expect(part.probes >= 120)
    print("hostile suite: \(part.line)\n\(report.remarks)")
  }

  /// The shipped profiles.
  static let profiles = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/profiles"
}
