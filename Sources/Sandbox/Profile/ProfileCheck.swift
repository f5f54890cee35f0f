import Glibc
import Linux

/// What somebody should know of a profile before sandboxes are made of it.
public struct ProfileCheck: Sendable, Hashable {
  /// What keeps sandboxes from being made.
  public var errors: [String]
  /// What works, and should make the reader think.
  public var warnings: [String]

  /// Looks at a profile on this host.
  /// - Parameter exists: whether the host has a path.
  public init(
    _ loaded: ProfileFile.Loaded, exists: (String) -> Bool = { access($0, F_OK) == 0 },
    landlock: Int? = KernelFeatures.landlockVersion
  ) {
    let profile = loaded.profile
    var (errors, warnings): ([String], [String]) = ([], [])
    func place(_ key: String, _ item: String = "") -> String {
      loaded.origins[ProfileRule(key, item)].map { "\($0.file):\($0.position.line): " } ?? ""
    }
    for entry in profile.readOnly where !entry.optional && !exists(entry.path) {
      errors.append(
        "\(place("read_only", entry.path))\(entry.path) isn't on this host; create it, or write '?\(entry.path)'")
    }
    if let shortcoming = profile.shortcoming(landlock: landlock) {
      errors.append("profile '\(profile.name)' \(shortcoming)")
    }
    do throws(SeccompError) { _ = try profile.syscalls.compile() } catch { errors.append("\(error)") }
    if profile.syscalls.oci == nil {
      let known = profile.syscalls.allowed.union(profile.syscalls.conditional.keys)
      for name in InitCalls.ofInit.keys.sorted() where !known.contains(name) {
        errors.append("'\(name)' isn't allowed, which PID 1 of every sandbox needs: \(InitCalls.ofInit[name] ?? "")")
      }
    }
    for name in Self.dangerous where profile.syscalls.allowed.contains(name) {
      warnings.append(
        "\(place("syscalls.allow", name))'\(name)' is allowed, which is made for more than an agent's work")
    }
    if profile.syscalls.allowed.contains("clone3") {
      warnings.append("\(place("syscalls.allow", "clone3"))'clone3' is allowed, whose flags no filter can see")
    }
    if profile.syscalls.allowed.contains("socket") {
      warnings.append("\(place("syscalls.allow", "socket"))'socket' is allowed for every family; put a condition on it")
    }
    if profile.readOnly.isEmpty, profile.root == .scratch {
      warnings.append("there is no program in it: 'read_only' is empty")
    }
    for path in ["/proc/kcore", "/proc/keys", "/proc/sysrq-trigger"]
    where !(profile.masked + profile.readOnlyProc).contains(path) {
      warnings.append("\(path) is neither masked nor read-only")
    }
    self.errors = errors
    self.warnings = warnings
  }

  /// Calls that docs/profiles.md says to keep denied.
  static let dangerous =
    OCISeccomp.neverAllowed.union([
      "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
      "ioperm",
      "iopl", "kexec_file_load", "kexec_load", "lookup_dcookie", "mount", "mount_setattr", "move_mount",
      "name_to_handle_at", "open_by_handle_at", "open_tree", "pidfd_getfd", "pivot_root", "quotactl", "reboot", "setns",
      "swapoff", "swapon", "umount2", "unshare",
    ]).sorted()
}
