import Linux

/// The ways in which a host restricts namespaces; nil where its kernel hasn't got the parameter.
public struct UserNamespaceRules: Sendable, Hashable {
  /// `user.max_*_namespaces` (namespaces(7)) by kind: how many there may be in the reader's user namespace.
  public var limits: [String: Int]
  /// `kernel.unprivileged_userns_clone`, a patch of Debian's: 0 leaves user namespaces to root.
  public var unprivilegedClone: Int?
  /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu's: 1 makes user namespaces of unconfined programs without
  /// CAP_SYS_ADMIN powerless.
  public var appArmorRestriction: Int?
  /// The AppArmor profile that confines the reader (`/proc/self/attr/apparmor/current`); nil without AppArmor.
  public var appArmorProfile: String?

  /// Puts rules together.
  public init(
    limits: [String: Int], unprivilegedClone: Int? = nil, appArmorRestriction: Int? = nil,
    appArmorProfile: String? = nil
  ) {
    self.limits = limits
    self.unprivilegedClone = unprivilegedClone
    self.appArmorRestriction = appArmorRestriction
    self.appArmorProfile = appArmorProfile
  }

  /// Each sandbox takes one of each.
  static let kinds = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
  /// Fewer namespaces than this are worth a word.
  static let few = 256

  /// Asks the running kernel.
  public static func read() -> UserNamespaceRules {
    func word(_ path: String) -> String? { (try? readFile(path))?.split(separator: "\n").first.map(String.init) }
    func number(_ path: String) -> Int? { word("/proc/sys/" + path).flatMap { Int($0) } }
    return UserNamespaceRules(
      limits: Dictionary(
        uniqueKeysWithValues: kinds.compactMap { kind in number("user/max_\(kind)_namespaces").map { (kind, $0) } }),
      unprivilegedClone: number("kernel/unprivileged_userns_clone"),
      appArmorRestriction: number("kernel/apparmor_restrict_unprivileged_userns"),
      appArmorProfile: word("/sys/module/apparmor/parameters/enabled") == "Y"
        ? word("/proc/self/attr/apparmor/current") ?? word("/proc/self/attr/current") : nil)
  }

  /// What they mean. `isPrivileged`: whether the reader has CAP_SYS_ADMIN, as the supervisor does.
  public func findings(isPrivileged: Bool) -> [Finding] {
    limitFindings + [cloneFinding(isPrivileged), restrictionFinding(isPrivileged), profileFinding].compactMap { $0 }
  }

  private var limitFindings: [Finding] {
    Self.kinds.compactMap { kind in
      let name = "user.max_\(kind)_namespaces"
      let advice = "sysctl -w \(name)=10000, and the same in /etc/sysctl.d/ to keep it"
      guard let limit = limits[kind] else {
        return kind == "user" ? Finding(name, .missing, "not there", "use a kernel with CONFIG_USER_NS") : nil
      }
      if limit == 0 { return Finding(name, .missing, "0: nobody may make any, root included", advice) }
      if limit < Self.few { return Finding(name, .limited, "\(limit), and each sandbox takes one", advice) }
      // What isn't restricted is one line, not eight.
      return kind == "user" ? Finding(name, .ok, "\(limit)") : nil
    }
  }

  private func cloneFinding(_ isPrivileged: Bool) -> Finding? {
    let name = "kernel.unprivileged_userns_clone"
    guard let unprivilegedClone else { return nil }
    if unprivilegedClone != 0 { return Finding(name, .ok, "\(unprivilegedClone)") }
    return isPrivileged
      ? Finding(name, .ok, "0: user namespaces are root's, as the supervisor is")
      : Finding(
        name, .limited, "0: user namespaces are root's",
        "start the supervisor as root, whom this doesn't concern; or sysctl -w \(name)=1")
  }

  private func restrictionFinding(_ isPrivileged: Bool) -> Finding? {
    let name = "kernel.apparmor_restrict_unprivileged_userns"
    guard let appArmorRestriction else { return nil }
    if appArmorRestriction == 0 { return Finding(name, .ok, "0") }
    return isPrivileged
      ? Finding(name, .ok, "\(appArmorRestriction): concerns programs without CAP_SYS_ADMIN, not the supervisor")
      : Finding(
        name, .limited, "\(appArmorRestriction): user namespaces of this user have no power",
        "start the supervisor as root, whom this doesn't concern; or sysctl -w \(name)=0")
  }

  private var profileFinding: Finding? {
    guard let appArmorProfile else { return nil }
    if appArmorProfile.hasPrefix("unconfined") {
      return Finding("apparmor", .ok, "enabled; this process is unconfined")
    }
    return Finding(
      "apparmor", .limited, "this process is confined by '\(appArmorProfile)'",
      "the supervisor's profile must allow userns, mount, pivot_root, umount and the capabilities of its unit, or be left away"
    )
  }
}
