import Doctor
import Testing

@Suite struct UserNamespaceRulesTests {
  private let usual = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"].reduce(into: [:]) { $0[$1] = 7871 }

  private func states(_ rules: UserNamespaceRules, isPrivileged: Bool = true) -> [String: Finding.State] {
    Dictionary(uniqueKeysWithValues: rules.findings(isPrivileged: isPrivileged).map { ($0.subject, $0.state) })
  }

  @Test func aHostWithoutRestrictionsIsOneLine() {
    #expect(states(UserNamespaceRules(limits: usual)) == ["user.max_user_namespaces": .ok])
  }

  @Test(arguments: ["user", "mnt", "net", "time"])
  func noNamespacesOfAKindIsMissingForRootToo(_ kind: String) {
    var limits = usual
    limits[kind] = 0
    let finding = UserNamespaceRules(limits: limits).findings(isPrivileged: true)
      .first { $0.subject == "user.max_\(kind)_namespaces" }
    #expect(finding?.state == .missing)
    #expect(finding?.advice.contains("sysctl -w user.max_\(kind)_namespaces=") == true)
  }

  @Test func fewNamespacesAreALimit() {
    var limits = usual
    limits["net"] = 40
    #expect(states(UserNamespaceRules(limits: limits))["user.max_net_namespaces"] == .limited)
  }

  @Test func aKernelWithoutUserNamespacesIsMissing() {
    #expect(states(UserNamespaceRules(limits: [:])) == ["user.max_user_namespaces": .missing])
  }

  @Test(arguments: [
    (value: 0, isPrivileged: true, Finding.State.ok), (0, false, .limited), (1, true, .ok), (1, false, .ok),
  ])
  func debiansParameterConcernsOnlyTheUnprivileged(value: Int, isPrivileged: Bool, state: Finding.State) {
    let rules = UserNamespaceRules(limits: usual, unprivilegedClone: value)
    #expect(states(rules, isPrivileged: isPrivileged)["kernel.unprivileged_userns_clone"] == state)
  }

  @Test(arguments: [
    (value: 1, isPrivileged: true, Finding.State.ok), (1, false, .limited), (0, true, .ok), (0, false, .ok),
  ])
  func ubuntusParameterConcernsOnlyTheUnprivileged(value: Int, isPrivileged: Bool, state: Finding.State) {
    let rules = UserNamespaceRules(limits: usual, appArmorRestriction: value)
    #expect(states(rules, isPrivileged: isPrivileged)["kernel.apparmor_restrict_unprivileged_userns"] == state)
  }

  @Test(arguments: [
    ("unconfined", Finding.State.ok), ("botburrow (enforce)", .limited), ("unprivileged_userns (enforce)", .limited),
  ])
  func anAppArmorProfileThatConfinesIsNamed(profile: String, state: Finding.State) {
    let finding = UserNamespaceRules(limits: usual, appArmorProfile: profile).findings(isPrivileged: true)
      .first { $0.subject == "apparmor" }
    #expect(finding?.state == state)
    #expect(state == .ok || finding?.detail.contains(profile) == true)
  }

  @Test func whatIsNotOKSaysWhatToDo() {
    var limits = usual
    limits["user"] = 0
    let rules = UserNamespaceRules(
      limits: limits, unprivilegedClone: 0, appArmorRestriction: 1, appArmorProfile: "other (enforce)")
    for finding in rules.findings(isPrivileged: false) {
      #expect(finding.state != .ok)
      #expect(!finding.advice.isEmpty)
    }
  }
}
