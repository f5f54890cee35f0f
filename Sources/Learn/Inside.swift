import Sandbox

/// Where a host path shows in a sandbox of a profile.
struct Inside {
  let profile: Profile

  enum Place: Hashable {
    /// By this entry of `read_only`.
    case readOnly(String)
    /// In this scratch directory, which begins empty.
    case scratch(String)
    /// Every sandbox has its own, whatever the host has.
    case own
    /// The contract keeps it out.
    case never
    /// It tells which host this is, and programs do without.
    case identifying
    case nowhere
  }

  func place(_ path: String) -> Place {
    // Mounted last, so they hide what is below them.
    if let scratch = Self.nearest(path, profile.scratch.map(\.path)) { return .scratch(scratch) }
    if let workspace = profile.workspace?.path, isWithin(path, workspace) { return .own }
    if Self.own.contains(where: { isWithin(path, $0) }) || Self.ownFiles.contains(path) { return .own }
    if let entry = Self.nearest(path, profile.readOnly.map(\.path)) { return .readOnly(entry) }
    if Self.identifying.contains(path) { return .identifying }
    return Self.never.contains { isWithin(path, $0) } ? .never : .nowhere
  }

  private static func nearest(_ path: String, _ directories: [String]) -> String? {
    directories.filter { isWithin(path, $0) }.max { $0.utf8.count < $1.utf8.count }
  }

  /// Whether something in it is mounted or made, so that the directory itself is there.
  func isParent(_ path: String) -> Bool {
    let shown = profile.scratch.map(\.path) + profile.readOnly.map(\.path) + Self.own + Self.ownFiles
    return shown.contains { isWithin($0, path) }
  }

  /// `Plan` makes these.
  private static let own = [
    "/proc", "/run/agent", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts",
    "/dev/ptmx", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr",
  ]
  private static let ownFiles = ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "hostname"].map {
    "/etc/" + $0
  }
  private static let never = ["/sys", "/dev"]
  private static let identifying = ["/etc/machine-id", "/etc/hostid", "/var/lib/dbus/machine-id"]
}
