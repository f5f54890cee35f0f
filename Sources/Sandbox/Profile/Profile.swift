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
  /// Host paths that show inside.
  public var readOnly: [ReadOnlyPath]
  /// What can be written.
  public var scratch: [Scratch]
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
