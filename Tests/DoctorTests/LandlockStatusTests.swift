import Doctor
import JSON
import Testing

@Suite struct LandlockStatusTests {
  @Test func anOldABIIsNamedWithWhatItLacks() {
    let finding = LandlockStatus.available(version: 2).finding
    #expect(finding.state == .ok)
    #expect(finding.detail == "ABI 2, without truncation, TCP ports, device ioctls, abstract sockets and signals")
  }

  @Test func theNewestLacksNothing() {
    #expect(LandlockStatus.available(version: 6).finding.detail == "ABI 6")
  }

  @Test func whereTheBootLeftItOutTheParameterIsGiven() {
    let finding = LandlockStatus.notChosen(modules: ["lockdown", "capability", "yama", "apparmor"]).finding
    #expect(finding.state == .limited)
    #expect(finding.advice == "boot with the kernel parameter lsm=landlock,yama,apparmor")
  }

  @Test func aKernelWithoutItIsLimitedNotUnfit() {
    #expect(LandlockStatus.notBuilt.finding.state == .limited)
  }

  @Test func aFindingInJSONHasItsFourParts() {
    let finding = Finding("landlock", .limited, "absent", "another kernel")
    #expect(
      finding.json == ["subject": "landlock", "state": "limited", "detail": "absent", "advice": "another kernel"])
  }
}
