import Hostile
import Testing

/// The table by itself: it can't hold a probe that proves nothing.
struct TableTests {
  @Test(arguments: try ProfileSet.names(HostileTests.profiles)) func everyProbeCanFail(_ name: String) throws {
    let table = Probe.table(try ProfileSet.read(name, in: HostileTests.profiles))
    #expect(Set(table.map(\.title)).count == table.count)
    #expect(table.count >= 120)
    for probe in table {
      // Where inside and outside answer alike, the probe can't tell a wall from none.
      guard let control = probe.control else { continue }
      #expect(Set(control.outside).isDisjoint(with: probe.inside), "\(probe.title)")
      #expect(!probe.inside.isEmpty && !control.outside.isEmpty, "\(probe.title)")
    }
    let uncontrolled = table.filter { $0.control == nil && $0.category != .works }
    #expect(uncontrolled.isEmpty)
  }
}
