import Linux

/// All that was seen of a command while it ran.
public struct Recording: Sendable, Hashable {
  /// Who did something first, and with what.
  public struct Use: Sendable, Hashable {
    /// The program's file, without its directory.
    public var program: String
    /// A path or an address; empty where the call has none.
    public var object: String
    /// Puts one together.
    public init(program: String, object: String = "") { (self.program, self.object) = (program, object) }
  }
  /// One system call, however often it was made.
  public struct Call: Sendable, Hashable {
    /// How often it was let through.
    public var count = 0
    /// How often it was denied, as a sandbox would.
    public var refused = 0
    /// Who made it first.
    public var first: Use
    /// Low 32 bits of the argument on which the base profile has a condition: those that passed.
    public var passed: Set<UInt32> = []
    /// And those that did not.
    public var failed: Set<UInt32> = []
    /// Nobody has made it yet.
    public init(first: Use) { self.first = first }
  }
  /// One path, with no symbolic link in it.
  public struct Path: Sendable, Hashable {
    /// Everything that was done with it.
    public var uses: PathUses
    /// What was there the first time; nil: nothing.
    public var kind: FileEntry.Kind?
    /// Who used it first.
    public var first: Use
    /// Whether every user may read it. A sandbox's user is none that owns anything on the host.
    public var isPublic: Bool
    /// Puts one together.
    public init(uses: PathUses, kind: FileEntry.Kind?, first: Use, isPublic: Bool = true) {
      (self.uses, self.kind, self.first, self.isPublic) = (uses, kind, first, isPublic)
    }
  }
  /// An end of a connection.
  public struct Endpoint: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// `127.0.0.1`, `::1`, or the path of a Unix socket (`@` in front: an abstract one).
    public var address: String
    /// 1…65535; nil for a Unix socket.
    public var port: UInt16?
    /// Names one.
    public init(address: String, port: UInt16?) { (self.address, self.port) = (address, port) }
    /// `127.0.0.1:80`, `[::1]:80`, `unix:/run/x`.
    public var description: String {
      guard let port else { return "unix:\(address)" }
      return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
    /// By address, then port.
    public static func < (one: Endpoint, other: Endpoint) -> Bool {
      (one.address, one.port ?? 0) < (other.address, other.port ?? 0)
    }
    /// Whether it is this host itself.
    public var isLoopback: Bool { address.hasPrefix("127.") || address == "::1" || address == "::ffff:127.0.0.1" }
  }

  /// By name.
  public var calls: [String: Call] = [:]
  /// By path.
  public var paths: [String: Path] = [:]
  /// Symbolic links on the way to them.
  public var links: [String: Use] = [:]
  /// What was connected to or sent to.
  public var connections: [Endpoint: Use] = [:]
  /// What was listened on or bound to.
  public var listeners: [Endpoint: Use] = [:]
  /// Numbers that libseccomp doesn't know.
  public var unknown: [Int32: Use] = [:]
  /// Calls of another architecture (32-bit programs).
  public var foreign: Use?
  /// How the command ended.
  public var end: ProcessEnd = .exited(0)
  /// Nothing was seen yet.
  public init() {}

  /// Takes over the calls that another run of the command made.
  public mutating func merge(callsOf other: Recording) {
    for (name, call) in other.calls where call.count > 0 {
      var mine = calls[name] ?? Call(first: Use(program: call.first.program, object: "in the sandbox"))
      mine.count += call.count
      mine.passed.formUnion(call.passed)
      calls[name] = mine
    }
  }
}

/// Directories of the host that stand for the sandbox's own while the command is recorded.
public struct Surroundings: Sendable, Hashable {
  /// Instead of the sandbox's HOME.
  public var workspace: String
  /// Instead of the sandbox's TMPDIR.
  public var temporary: String
  /// Names both: absolute, with no symbolic link in them.
  public init(workspace: String, temporary: String) { (self.workspace, self.temporary) = (workspace, temporary) }
}
