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
    case nowhere
  }

  func place(_ path: String) -> Place {
    // Mounted last, so they hide what is below them.
    if let scratch = profile.scratch.filter({ isWithin(path, $0.path) }).max(by: { $0.path.utf8.count < $1.path.utf8.count }) {
      return .scratch(scratch.path)
    }
    if Self.own.contains(where: { isWithin(path, $0) }) || Self.ownFiles.contains(path) { return .own }
    if let entry = profile.readOnly.filter({ isWithin(path, $0.path) }).max(by: { $0.path.utf8.count < $1.path.utf8.count }) {
      return .readOnly(entry.path)
    }
    return Self.never.contains { isWithin(path, $0) } ? .never : .nowhere
  }

  /// Whether something in it is mounted or made, so that the directory itself is there.
  func isParent(_ path: String) -> Bool {
    let shown = profile.scratch.map(\.path) + profile.readOnly.map(\.path) + Self.own + Self.ownFiles
    return shown.contains { isWithin($0, path) }
  }

  /// `Plan` makes these.
  private static let own = ["/proc", "/run/agent", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts", "/dev/ptmx", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"]
  private static let ownFiles = ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "hostname"].map { "/etc/" + $0 }
  private static let never = ["/sys", "/dev"]
}
