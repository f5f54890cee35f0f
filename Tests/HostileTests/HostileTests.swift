import Glibc
import Hostile
import Testing

/// Every probe inside a sandbox of profile `default`, each with its control outside, by the programs built beside the
/// tests. `make hostile` runs all profiles with release binaries.
@Suite(.enabled(if: geteuid() == 0, "namespaces and controls need root"))
struct HostileTests {
  @Test(.timeLimit(.minutes(5))) func everyWallHolds() async throws {
    let (findings, left) = try await Hostile.Suite.upon(Self.places) { try await $0.run(profile: "default") }
    #expect(left == [])
    let report = Report([.init(profile: "default", findings: findings)])
    for trouble in report.troubles { Issue.record("\(trouble)") }
    let part = report.parts[0]
    #expect(part.probes >= 120)
    print("hostile suite: \(part.line)\n\(report.remarks)")
  }

  @Test(.timeLimit(.minutes(2))) func aSidecarsWayOutIsTheProxyAlone() async throws {
    let (findings, left) = try await Hostile.Suite.upon(Self.places) { suite in
      try await suite.run(profile: "sidecar") { $0.category == .wayOut || $0.name.hasSuffix("through the proxy") }
    }
    #expect(left == [])
    let report = Report([.init(profile: "sidecar", findings: findings)])
    for trouble in report.troubles { Issue.record("\(trouble)") }
    #expect(report.parts[0].controls >= 50)
    print("hostile suite, way out: \(report.parts[0].line)\n\(report.remarks)")
  }

  static var places: Ground.Places { .init(programs: Ground.Places.besideUs, profiles: profiles) }
  /// The shipped ones.
  static let profiles = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/profiles"
}
