import Linux

/// What a sandbox is made of, as an administrator wrote it down: `profiles/<name>.yaml`, resolved and checked.
public struct Profile: Sendable, Hashable {
  /// Limits on what the program can use up.
  public struct Limits: Sendable, Hashable {
    /// `memory.max`, bytes.
    public var memory: Int
    /// `memory.swap.max`, bytes.
    public var swap: Int
    /// `cpu.max`, cores.
    public var cpus: Double
    /// `pids.max`, processes and threads.
    public var pids: Int
    /// RLIMIT_NOFILE.
    public var openFiles: Int
    /// RLIMIT_FSIZE, bytes.
    public var fileSize: Int
    /// Wall-clock time until the sandbox is ended.
    public var timeout: Duration
    /// `memory.high`, bytes: from here on the kernel slows the program down and reclaims; nil leaves it open.
    public var memoryHigh: Int?
    /// `cpu.weight`, 1 to 10000: the share of a busy processor beside other sandboxes; 100 is everybody's.
    public var cpuWeight = 100
    /// `io.max`; nil leaves reading and writing of disks open.
    public var io: IOLimits?
  }
  /// `io.max` on every disk that a sandbox can reach (cgroups(7)); nil leaves one open.
  public struct IOLimits: Sendable, Hashable {
    /// Bytes a second.
    public var readBytes: Int?
    /// Bytes a second.
    public var writeBytes: Int?
    /// Operations a second.
    public var readOperations: Int?
    /// Operations a second.
    public var writeOperations: Int?
    /// Nothing is limited.
    public init(
      readBytes: Int? = nil, writeBytes: Int? = nil, readOperations: Int? = nil, writeOperations: Int? = nil
    ) {
      self.readBytes = readBytes
      self.writeBytes = writeBytes
      self.readOperations = readOperations
      self.writeOperations = writeOperations
    }
  }
  /// What the root directory is made of.
  public enum Root: Sendable, Hashable {
    /// A new, empty tmpfs; `readOnly` fills it.
    case scratch
    /// A host directory, read-only, with `readOnly` on top.
    case directory(String)
    /// A file that holds a squashfs or erofs file system, with `readOnly` on top.
    case image(String)
  }
  /// A writable directory that outlives the sandbox: a file system of its own for each agent.
  public struct Workspace: Sendable, Hashable {
    /// Absolute, inside.
    public var path: String
    /// Bytes that the file system has.
    public var size: Int
  }
  /// How much a wall matters that not every kernel has.
  public enum Enforcement: String, Sendable, Hashable, CaseIterable {
    /// A host without it refuses.
    case required
    /// A host without it runs the sandbox all the same, and the receipt says so.
    case bestEffort = "best-effort"
    /// It isn't put up.
    case off
  }
  /// A host path that is visible inside at the same place, read-only with everything mounted below it.
  public struct ReadOnlyPath: Sendable, Hashable {
    /// Absolute, outside and inside.
    public var path: String
    /// A host that hasn't got it is no error.
    public var optional: Bool
  }
  /// A writable directory that lives in memory and is gone afterwards.
  public struct Scratch: Sendable, Hashable {
    /// Absolute, inside.
    public var path: String
    /// Bytes.
    public var size: Int
    /// Files and directories that fit (`nr_inodes` of tmpfs(5)).
    public var inodes: Int
  }
  /// What happens on a host that can't limit memory, cpu or pids.
  public enum ControlGroupPolicy: String, Sendable, Hashable, CaseIterable {
    /// The sandbox is refused.
    case required
    /// It runs, and the receipt says which limit is not enforced.
    case bestEffort = "best-effort"
  }
  /// Whether there is a link to the gateway.
  public enum Network: String, Sendable, Hashable, CaseIterable { case gateway, none }

  /// The file's name without `.yaml`; what requests name.
  public var name: String
  /// One line for a person.
  public var description: String
  /// The profiles that it extends, the nearest first.
  public var parents: [String] = []
  /// What the root directory is made of.
  public var root = Root.scratch
  /// Host paths that show inside.
  public var readOnly: [ReadOnlyPath]
  /// What can be written.
  public var scratch: [Scratch]
  /// What can be written and stays; nil for nothing.
  public var workspace: Workspace?
  /// The second wall around files, connections and signals (landlock(7)).
  public var landlock = Enforcement.bestEffort
  /// The agent's ids inside.
  public var uid: Int
  /// The agent's group inside.
  public var gid: Int
  /// Whether the program can reach its gateway.
  public var network: Network
  /// What a host without cgroup controllers means.
  public var controlGroup: ControlGroupPolicy
  /// The most that a request can have.
  public var limits: Limits
  /// Variables that every program gets; the request's come on top, the host's never.
  public var environment: [String: String]
  /// Host names inside beside localhost.
  public var hostname: String
  /// Hidden paths of /proc.
  public var masked: [String]
  /// Paths of /proc that can't be written.
  public var readOnlyProc: [String]
  /// The system calls that pass.
  public var syscalls: SeccompPolicy
}

extension SandboxRequest.Limits {
  /// The profile's limits, tightened; asking for more than the profile allows gives what the profile allows.
  func tightening(_ limits: Profile.Limits) -> Profile.Limits {
    var result = limits
    result.memory = min(limits.memory, memoryBytes ?? .max)
    result.cpus = min(limits.cpus, cpus ?? .infinity)
    result.pids = min(limits.pids, pids ?? .max)
    if let timeoutSeconds { result.timeout = min(limits.timeout, .seconds(timeoutSeconds)) }
    return result
  }
}
