import Testing

@testable import Runner

@Suite struct FleetTests {
  @Test(arguments: [(0, 1.0), (1, 1), (4, 4), (10, 10), (500, 10)])
  func manyLookAsOftenAsOne(_ runners: Int, _ seconds: Double) {
    let fleet = Fleet()
    #expect(fleet.share(of: .seconds(1)) == .seconds(1))
    fleet.note(runners: runners)
    #expect(fleet.share(of: .seconds(1)) == .seconds(seconds))
    // What is rare anyway does not become more frequent.
    #expect(fleet.share(of: .seconds(60)) == .seconds(60))
  }
}
