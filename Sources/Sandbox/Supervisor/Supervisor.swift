import CLinux
import Glibc
import JSON
import Linux
import Synchronization

private let openFiles = __rlimit_resource_t(7)  // RLIMIT_NOFILE

/// Creates sandboxes for whoever may connect to its socket. One thread an activation: it is the parent of the sandbox's
/// PID 1 and lives exactly as long, so PDEATHSIG (which follows the thread that spawned) can't fire early or not at all.
public final class Supervisor: Sendable {
  /// How a supervisor is set up.
  public struct Options: Sendable {
    /// Directory of profiles; its files should belong to root.
    public var profiles: String
    /// The `botburrow-init` program.
    public var initProgram: String
    /// The native loop's program (`botburrow-agent`), an absolute path without links; nil: sandboxes have none.
    public var loopProgram: String?
    /// Directory of agents' persistent workspaces; made when the first one is.
    public var workspaces: String
    /// Overrides the profiles' word where controllers are missing.
    public var bestEffortControlGroups: Bool
    /// Network namespaces made ahead.
    public var poolDepth: Int
    /// Users whose connections are served; nil: only root and whom the socket's mode lets in.
    public var allowedUsers: Set<uid_t>?

    /// The usual set-up.
    public init(
      profiles: String, initProgram: String, loopProgram: String? = nil,
      workspaces: String = "/var/lib/botburrow/workspaces",
      bestEffortControlGroups: Bool = false, poolDepth: Int = 4,
      allowedUsers: Set<uid_t>? = nil
    ) {
      self.profiles = profiles
      self.initProgram = initProgram
      self.loopProgram = loopProgram
      self.workspaces = workspaces
      self.bestEffortControlGroups = bestEffortControlGroups
      self.poolDepth = poolDepth
      self.allowedUsers = allowedUsers
    }
  }

  /// What happened, for log and metrics.
  public enum Event: Sendable {
    /// The walls are up and the program may run; `seconds` since the request.
    case started(activationID: String, profile: String, seconds: Double)
    case ended(Receipt, seconds: Double)
    case refused(activationID: String?, reason: String)
    case trouble(String)
  }

  let options: Options
  let catalogue: Catalogue
  let users: UserRanges
  let network: NetworkPool
  let groups: GroupTree
  let roots: RootTemplates
  let launchers: Launchers
  let workspaces: Workspaces
  let hostNamespaces: [String: UInt64]
  let landlockVersion = KernelFeatures.landlockVersion
  private let report: @Sendable (Event) -> Void
  private let living = Mutex<[ObjectIdentifier: Activation]>([:])
  private let stopping = Atomic<Bool>(false)
  private let connections = Atomic<Int>(0)
  /// More than there are ranges of user ids for. Each has a thread; where the kernel gives no more of them, the one that
  /// accepts would serve a sandbox to its end, deaf to everybody else.
  private static let connectionLimit = 1200
  /// One a core makes namespaces as fast as the kernel does.
  private static var launcherCount: Int { max(1, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
  /// How long a client may take to say what it wants.
  private static let patience = Duration.seconds(10)
  // Its write end is held by us alone: every PID 1 sees it hang up when we are gone.
  let lifeline: (read: Descriptor, write: Descriptor)

  /// Leaves the host's network for good and takes what sandboxes need. Call on the process's only thread.
  public init(_ options: Options, report: @escaping @Sendable (Event) -> Void) throws(LinuxError) {
    self.options = options
    self.report = report
    hostNamespaces = namespaceIDs(pid: "self")
    // Launchers start from what is in memory: whoever could write to the file later gains nothing.
    try Faults.point("seal botburrow-init")
    let initProgram = try aboveSpawned(
      try Descriptor.sealedProgram(options.initProgram, name: "botburrow-init"))
    catalogue = Catalogue(directory: options.profiles)
    users = try UserRanges()
    try Faults.point("leave the host's network")
    try NetworkNamespace.isolateProcess()
    try Faults.point("leave the host's mounts")
    try MountNamespace.isolateProcess()
    network = try NetworkPool(depth: options.poolDepth)
    try Faults.point("make lifeline")
    lifeline = try makePipe()
    roots = RootTemplates(initProgram: initProgram, loopProgram: options.loopProgram)
    workspaces = Workspaces(directory: options.workspaces)
    do throws(WorkspaceError) { try workspaces.sweep() } catch { report(.trouble("workspaces: \(error)")) }
    try Self.harden()
    launchers = try Launchers(
      program: initProgram, home: network.home, count: Self.launcherCount,
      report: { report(.trouble("\($0)")) })
    // Last, for nothing else of a start that fails stays behind.
    groups = try GroupTree.make(pid: getpid())
    if options.poolDepth > 0 {
      Thread.detach { [network, report] in
        network.keepFilled { report(.trouble("network pool: \($0)")) }
      }
    }
  }

  /// Keeps of root's powers what sandboxes need, and nobody may look into this process.
  private static func harden() throws(LinuxError) {
    try Faults.point("give up powers")
    if cl_not_dumpable() < 0 { throw LinuxError.last("prctl PR_SET_DUMPABLE", "0") }
    if cl_no_new_privileges() < 0 { throw LinuxError.last("prctl PR_SET_NO_NEW_PRIVS", "") }
    // A few descriptors an activation; the hard limit is the service manager's word.
    var limit = rlimit()
    if getrlimit(openFiles, &limit) == 0 {
      limit.rlim_cur = limit.rlim_max
      setrlimit(openFiles, &limit)
    }
    // Namespaces, mounts, cgroups · entering a mount namespace · links, nftables · uid and gid maps · looking at PID 1, which isn't dumpable, and
    // entering its files in /proc · ending it · ports below 1024 and devices of listeners · rlimits above ours.
    let needed = [
      "cap_sys_admin", "cap_sys_chroot", "cap_net_admin", "cap_net_raw", "cap_setuid", "cap_setgid", "cap_sys_ptrace",
      "cap_dac_override",
      "cap_kill", "cap_net_bind_service", "cap_sys_resource", "cap_chown", "cap_fowner",
    ]
    try Capabilities.keep(only: needed.filter(Capabilities.has))
  }

  /// Serves a listening socket until it is closed by `stop`.
  public func serve(_ listener: PacketListener) {
    while !stopping.load(ordering: .acquiring) {
      do throws(LinuxError) {
        try Faults.point("accept connection")
        let connection = try listener.accept()
        serve(connection)
      } catch {
        if stopping.load(ordering: .acquiring) { return }
        report(.trouble("accept: \(error)"))
        // Out of descriptors: wait for activations to end instead of spinning.
        usleep(10_000)
      }
    }
  }

  /// Serves one connection on a thread of its own.
  private func serve(_ connection: PacketSocket) {
    if connections.wrappingAdd(1, ordering: .relaxed).newValue > Self.connectionLimit {
      connections.wrappingSubtract(1, ordering: .relaxed)
      return refuse(
        connection, nil, "\(Self.connectionLimit) connections are open, which is the limit; try again later")
    }
    Thread.detach { [self] in
      run(connection)
      connections.wrappingSubtract(1, ordering: .relaxed)
    }
  }

  /// Serves one connection on the calling thread, to its end.
  public func run(_ connection: PacketSocket) {
    do throws(LinuxError) {
      try Faults.point("identify peer")
      let peer = try connection.peer()
      if let allowed = options.allowedUsers, peer.uid != 0, !allowed.contains(peer.uid) {
        refuse(connection, nil, "user \(peer.uid) may not start sandboxes here; allow it with --allow-user \(peer.uid)")
        return
      }
      guard try waitReadable([connection.descriptor], timeout: Self.patience)[0] else {
        refuse(connection, nil, "no request came within \(Self.patience.milliseconds / 1000) s")
        return
      }
      let packet: (bytes: [UInt8], descriptors: [Descriptor])?
      try Faults.point("receive request")
      do throws(LinuxError) { packet = try connection.receive() } catch  where error.code == EMSGSIZE {
        refuse(
          connection, nil,
          "a request is at most \(PacketSocket.packetLimit) bytes and 250 descriptors; send the rest in files")
        return
      }
      guard let packet else { return }
      run(packet.bytes, packet.descriptors, for: connection, from: peer.uid)
    } catch {
      refuse(connection, nil, error.description)
    }
  }

  private func run(
    _ bytes: [UInt8], _ descriptors: [Descriptor], for connection: PacketSocket, from user: uid_t
  ) {
    let request: SandboxRequest
    do throws(JSONError) {
      let message = try ClientMessage(parsing: bytes)
      guard let spawn = message.spawn else {
        if let reply = answer(message, from: user) { return answer(connection, reply) }
        return refuse(connection, nil, "the first message must be 'spawn', 'list', 'inspect', 'freeze' or 'thaw'")
      }
      request = spawn
    } catch {
      return refuse(connection, nil, "unreadable request: \(error)")
    }
    let activation: Activation
    do throws(LinuxError) { activation = try Activation(self, request, descriptors, connection, owner: user) } catch {
      return refuse(connection, request.activationID, error.description)
    }
    let isNew = living.withLock { living in
      if living.values.contains(where: { $0.id == activation.id }) { return false }
      living[ObjectIdentifier(activation)] = activation
      return true
    }
    if !isNew { return refuse(connection, activation.id, "activation '\(activation.id)' is running already") }
    defer { living.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(activation)) } }
    // `stop` looks at the living after it has set the flag, so one of both sees the other.
    if stopping.load(ordering: .acquiring) { return refuse(connection, activation.id, "the supervisor is ending") }
    defer { network.fillUp() }
    do throws(SandboxRefused) {
      let receipt = try activation.run { self.report($0) }
      answer(connection, SupervisorMessage(ended: receipt.json))
    } catch {
      refuse(connection, request.activationID, error.description)
    }
  }

  private func refuse(_ connection: PacketSocket, _ id: String?, _ reason: String) {
    report(.refused(activationID: id, reason: reason))
    // It may quote the request at length, and has to fit into a packet.
    answer(connection, SupervisorMessage(refused: reason.utf8.count <= 2048 ? reason : reason.prefix(2000) + "…"))
  }

  /// A client that is gone doesn't read its answer; everything else is worth a word.
  func answer(_ connection: PacketSocket, _ message: SupervisorMessage, descriptors: [Descriptor] = []) {
    do throws(LinuxError) {
      try Faults.point("answer")
      try connection.send(message.bytes, descriptors: descriptors)
    } catch  where error.code == EPIPE || error.code == ECONNRESET {
    } catch {
      report(.trouble("answer: \(error)"))
    }
  }

  /// cgroup controllers without which a profile's limits on memory, cpu and pids are not enforced.
  public static let neededControllers: Set = ["memory", "cpu", "pids"]

  /// Which limits are enforced here, in words for the log.
  public var enforcement: String {
    let missing = groups.missing()
    return missing.isEmpty ? "memory, cpus, pids" : "not enforced: " + missing.joined(separator: "; ")
  }

  /// The activations of now.
  var activations: [Activation] { living.withLock { Array($0.values) } }

  /// Number of sandboxes alive now.
  public var count: Int { living.withLock { $0.count } }

  /// Reads profiles anew from now on.
  public func reload() {
    catalogue.reload()
    roots.reload()
  }

  /// Ends every sandbox and removes what is left of them; the caller then ends the process.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    for activation in living.withLock({ Array($0.values) }) { activation.cancel() }
    let deadline = ContinuousClock.now + .seconds(5)
    while count > 0 && ContinuousClock.now < deadline { usleep(2_000) }
    launchers.end()
    groups.remove()
  }
}
