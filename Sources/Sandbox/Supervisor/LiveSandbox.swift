import CLinux
import CPlan
import Glibc
import JSON
import Linux

/// What one activation holds of the host, and the steps that take it and give it back.
struct LiveSandbox {
  let supervisor: Supervisor
  let request: SandboxRequest
  let entry: Catalogue.Entry
  var plan = Plan(
    handed: [], inside: [],
    limits: Profile.Limits(memory: 0, swap: 0, cpus: 0, pids: 0, openFiles: 0, fileSize: 0, timeout: .zero))
  var notEnforced: [String] = []
  var listeners: [Descriptor] = []
  var control = PacketSocket(Descriptor(owning: -1))
  var oomKills = 0
  private var root: RootTemplate?
  private var wasLaunched = false
  private var hasExited = false
  /// A step of launcher or PID 1 failed; a launcher that didn't tell of PID 1 before has made none.
  private var hasFailed = false
  private var namespaces: [String: UInt64] = [:]
  private var handed: [Descriptor] = []
  private(set) var users: (slot: Int, firstID: Int)?
  private var networkNamespace: Descriptor?
  private(set) var gate: PacketFilter.Gate?
  var denials = Denials()
  private(set) var limitsReadBack: [String: JSONValue] = [:]
  private(set) var group: ControlGroup?
  private(set) var workspace: Workspace?
  private(set) var initProcess: ProcessHandle?
  private(set) var observed: [String: JSONValue] = [:]
  private(set) var usage: [String: JSONValue] = [:]

  init(supervisor: Supervisor, request: SandboxRequest, entry: Catalogue.Entry) {
    self.supervisor = supervisor
    self.request = request
    self.entry = entry
  }

  /// Everything outside the sandbox that it needs: ids, cgroup, link, ways, listeners, mounts.
  mutating func prepare(_ descriptors: [Descriptor]) throws(SetupFailure) {
    try outside { _ throws(LinuxError) in try Faults.point("take user range") }
    guard let range = supervisor.users.take() else {
      throw SetupFailure(
        operation: "take", object: "user range", reason: "all 1000 ranges of this supervisor are in use")
    }
    users = range
    try outside { sandbox throws(LinuxError) in
      let root = try sandbox.supervisor.roots.template(sandbox.entry)
      sandbox.root = root
      sandbox.plan = Plan.make(
        profile: sandbox.entry.profile, request: sandbox.request,
        ground: Plan.Ground(
          filter: sandbox.entry.filter, covered: root.covered + sandbox.entry.masked,
          landlock: sandbox.supervisor.landlockVersion.flatMap {
            sandbox.entry.profile.landlock == .off
              ? nil : LandlockPolicy.make(profile: sandbox.entry.profile, version: $0)
          }))
      sandbox.group = try sandbox.supervisor.groups.makeGroup(
        "a-\(sandbox.request.activationID)", limits: sandbox.plan.limits)
      try sandbox.openNetwork()
    }
    for source in plan.handed { handed.append(try make(source, descriptors)) }
  }

  private mutating func outside(
    _ body: (inout LiveSandbox) throws(LinuxError) -> Void
  ) throws(SetupFailure) {
    do throws(LinuxError) { try body(&self) } catch { throw SetupFailure(error) }
  }

  private mutating func openNetwork() throws(LinuxError) {
    try Faults.point("take network namespace")
    if entry.profile.network == .none {
      networkNamespace = try supervisor.network.unwired()
      return
    }
    let slot = try supervisor.network.take()
    networkNamespace = slot.namespace
    let gateway = supervisor.network.gateway
    for listener in request.listeners {
      try Faults.point("listen")
      let number = cl_tcp_listener(gateway.number, listener.port, slot.link.name, 128)
      if number < 0 { throw LinuxError.last("listen", "\(gateway):\(listener.port) on \(slot.link.name)") }
      listeners.append(Descriptor(owning: number))
    }
    let wanted = request.listeners.map {
      PacketFilter.Way(interface: slot.link.index, source: slot.link.inside, destination: gateway, port: $0.port)
    }
    try Faults.point("open ways")
    gate = try supervisor.network.filter.open(interface: slot.link.index, wanted)
  }

  private mutating func make(
    _ source: Plan.Handed, _ descriptors: [Descriptor]
  ) throws(SetupFailure) -> Descriptor {
    switch source {
    case .file(let index):
      try outside { _ throws(LinuxError) in try Faults.point("take file") }
      let file = descriptors[3 + index]
      // An unsealed file could change under our hands; a directory would be a way out (CVE-2024-21626).
      if !file.isSealed {
        throw SetupFailure(
          LinuxError("take file", request.files[index].path, code: EPERM, advice: "send a sealed memfd"))
      }
      return file
    case .secrets:
      let secrets = descriptors[3 + request.files.count]
      try outside { _ throws(LinuxError) in
        try Faults.point("take secrets")
        try SecretEnvironment.check(secrets)
      }
      return secrets
    case .workspace(let agent, let size):
      try outside { _ throws(LinuxError) in try Faults.point("open workspace") }
      do throws(WorkspaceError) {
        let opened = try supervisor.workspaces.open(agent, size: size, uid: entry.profile.uid, gid: entry.profile.gid)
        workspace = opened
        return opened.mount.descriptor
      } catch { throw SetupFailure(operation: "open workspace", object: agent, reason: error.description) }
    }
  }

  /// Gives the workspace's files to this sandbox's ids.
  func mapMounts() throws(SetupFailure) {
    guard let workspace, let initProcess else { return }
    do throws(LinuxError) { try Faults.point("map workspace") } catch { throw SetupFailure(error) }
    do throws(WorkspaceError) { try workspace.map(toUserNamespaceOf: initProcess) } catch {
      throw SetupFailure(operation: "map workspace", object: workspace.agent, reason: error.description)
    }
  }

  /// Asks for PID 1; what becomes of it is heard on the control socket.
  mutating func launch(streams: [Descriptor]) throws(SetupFailure) {
    try outside { sandbox throws(LinuxError) in try sandbox.requestLaunch(streams: streams) }
  }

  private mutating func requestLaunch(streams: [Descriptor]) throws(LinuxError) {
    for (index, stream) in streams.prefix(3).enumerated() {
      var status = stat()
      // A directory among the streams would be a way out of the new root (CVE-2024-21626).
      if fstat(stream.number, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        throw LinuxError("take stream", "\(index)", code: EISDIR, advice: "pass a file, pipe, socket or terminal")
      }
    }
    guard let networkNamespace, let root, let users else { return }
    try Faults.point("seal plan")
    let encoded = Faults.marked(PlanEncoder.encode(plan.inside), plan.inside)
    let planFile = try Descriptor.sealed(encoded, name: "plan")
    try Faults.point("make control socket")
    let (mine, theirs) = try PacketSocket.pair()
    control = mine
    // In the order of CPlan.h's launch_descriptor.
    var given = Array(streams.prefix(3))
    given += [theirs.descriptor, supervisor.lifeline.read, planFile, networkNamespace, root.namespace]
    try Faults.point("open group")
    given.append(try group?.open() ?? planFile)
    given += handed
    try Faults.point("request launch")
    try supervisor.launchers.launch(firstID: users.firstID, hasControlGroup: group != nil, descriptors: given)
    wasLaunched = true
    // They travel with the request. Who reads the program's output must see its end when the program ends, not when we do.
    handed = []
    for stream in streams.prefix(3) { stream.close() }
  }

  enum Word {
    /// PID 1 is there; or nothing that matters.
    case launched
    case hasIDs, ready, gone
    case exited(status: Int32)
  }

  /// The next thing that launcher or PID 1 says.
  mutating func hear() throws(SetupFailure) -> Word {
    let size = MemoryLayout<init_report>.size
    let packet: (bytes: [UInt8], descriptors: [Descriptor])?
    do throws(LinuxError) {
      try Faults.point("hear PID 1")
      packet = try control.receive(limit: size, descriptors: 1)
    } catch { throw SetupFailure(error) }
    guard let packet, packet.bytes.count == size else { return .gone }
    let message = packet.bytes.withUnsafeBytes { $0.loadUnaligned(as: init_report.self) }
    if Faults.takes(message.kind, control) { return .launched }
    switch message.kind {
    case REPORT_LAUNCHED.rawValue:
      if let pidfd = packet.descriptors.first { initProcess = ProcessHandle(pid: message.value, descriptor: pidfd) }
      return .launched
    case REPORT_HAS_IDS.rawValue: return .hasIDs
    case REPORT_READY.rawValue: return .ready
    case REPORT_EXITED.rawValue:
      hasExited = true
      return .exited(status: message.value)
    default:
      hasFailed = true
      let index = Int(message.operation)
      if plan.inside.indices.contains(index) {
        let operation = plan.inside[index]
        throw SetupFailure(operation: operation.name, object: operation.object, reason: errorName(message.error))
      }
      throw SetupFailure(operation: Self.step(message.operation), object: "", reason: errorName(message.error))
    }
  }

  /// Throws what PID 1 failed at, if it said so.
  mutating func hearLastWords() throws(SetupFailure) {
    let hasMore: Bool
    do throws(LinuxError) { hasMore = try waitReadable([control.descriptor], timeout: .zero)[0] } catch {
      throw SetupFailure(error)
    }
    if hasMore { _ = try hear() }
  }

  static func step(_ number: UInt32) -> String {
    switch number {
    case PLAN_LAUNCH_READ.rawValue: "read plan"
    case PLAN_LAUNCH_NETWORK.rawValue: "setns network namespace"
    case PLAN_LAUNCH_MOUNTS.rawValue: "setns mount namespace"
    case PLAN_LAUNCH_CLONE.rawValue: "clone3"
    case PLAN_LAUNCH_MAPS.rawValue: "write uid and gid maps"
    case PLAN_LAUNCH_DESCRIPTORS.rawValue: "pipe2"
    default: "operation \(number)"
    }
  }

  /// Passes a signal on. PID 1 takes them at once; should it hang, a signal is lost rather than the clock stopped.
  func relay(_ signal: UInt8) throws(SetupFailure) {
    do throws(LinuxError) {
      try Faults.point("relay signal")
      try control.send([UInt8(ORDER_SIGNAL.rawValue), signal], waits: false)
    } catch  where error.code == EAGAIN || error.code == EPIPE {
    } catch { throw SetupFailure(error) }
  }

  func order(_ word: init_order) throws(SetupFailure) {
    do throws(LinuxError) {
      try Faults.point("order start")
      try control.send([UInt8(word.rawValue)])
    } catch { throw SetupFailure(error) }
  }

  /// Reads namespaces back while PID 1 is still busy with its plan: it was born in them. The cgroup's it makes itself.
  mutating func inspectBirth() {
    guard let initProcess else { return }
    namespaces = namespaceIDs(pid: "\(initProcess.pid)", Self.namespacesOfBirth)
  }

  private static let namespacesOfBirth = ["user", "mnt", "pid", "net", "ipc", "uts", "time"]

  /// Reads the walls back from the kernel before the program may run; a wall that isn't there ends the activation.
  mutating func inspect() throws(SetupFailure) {
    guard let initProcess else {
      throw SetupFailure(operation: "launch", object: "botburrow-init", reason: "the launcher ended without a word")
    }
    namespaces.merge(namespaceIDs(pid: "\(initProcess.pid)", ["cgroup"])) { _, late in late }
    let status: ProcessStatus
    do throws(LinuxError) {
      try Faults.point("inspect PID 1")
      status = try ProcessStatus.read(pid: initProcess.pid)
      // Read by number: it must still have been PID 1's then.
      if try waitReadable([initProcess.descriptor], timeout: .zero)[0] {
        throw LinuxError("inspect", "PID 1", code: ESRCH, advice: "it was killed")
      }
    } catch { throw SetupFailure(error) }
    for (name, id) in supervisor.hostNamespaces where namespaces[name] == nil || namespaces[name] == id {
      throw SetupFailure(operation: "inspect", object: "\(name) namespace", reason: "it is the host's")
    }
    if status.capabilities.count != 5 || status.capabilities.values.contains(where: { $0 != 0 }) {
      throw SetupFailure(operation: "inspect", object: "capabilities", reason: "they are not empty")
    }
    if status.seccomp != 2 || !status.noNewPrivileges {
      throw SetupFailure(operation: "inspect", object: "seccomp and no_new_privs", reason: "they are not in force")
    }
    limitsReadBack["rlimits"] = try ReadBack.limits(plan, pid: initProcess.pid)
    observed["namespaces"] = .object(namespaces.mapValues { .integer(Int64($0)) })
    observed["capabilities"] = .object(status.capabilities.mapValues { .string(padded($0)) })
    observed["seccomp_mode"] = .integer(Int64(status.seccomp ?? 0))
    observed["no_new_privs"] = .bool(status.noNewPrivileges)
    observed["host_uid"] = .integer(Int64(status.userIDs.first ?? 0))
  }

  /// Reads back what the group's files say, while the program starts: writing them has told of every failure.
  mutating func readLimits() {
    guard let group else { return }
    limitsReadBack["cgroup"] = ReadBack.limits(group, files: supervisor.groups.settings(plan.limits).map(\.file))
  }

  private func padded(_ set: UInt64) -> String {
    let digits = String(set, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Ends every process and gives everything back. Trouble is reported, never hidden, and never stops the rest.
  mutating func tearDown(report: (Supervisor.Event) -> Void) {
    let id = request.activationID
    // Once more where it failed, for what is left now stays as long as the supervisor.
    func attempt(_ body: () throws -> Void) -> Bool {
      for _ in 0..<2 {
        do {
          try body()
          return true
        } catch { report(.trouble("tear down \(id): \(error)")) }
      }
      return false
    }
    // Whoever of the sandbox still runs has ids of this range: then nobody else may have it.
    var isGone = !wasLaunched || awaitLaunch()
    // PID 1 that waits for an order hears this and ends.
    control.descriptor.close()
    if let initProcess {
      // With it the kernel ends the whole PID namespace. After its last word it is about to end by itself.
      _ = attempt {
        try Faults.point("end PID 1")
        if !hasExited { try initProcess.signal(SIGKILL) }
      }
    }
    // The kernel is busy with that for a while: with the mounts above all.
    if let gate {
      _ = attempt {
        try Faults.point("close ways")
        denials = try supervisor.network.filter.close(gate)
      }
    }
    if let initProcess {
      isGone = attempt {
        // Its end is seen when all are gone.
        if try !waitReadable([initProcess.descriptor], timeout: .seconds(5))[0] {
          try initProcess.signal(SIGKILL)
          throw LinuxError("wait for", "pid \(initProcess.pid)", code: ETIMEDOUT)
        }
      }
    }
    if let group {
      isGone = attempt {
        try Faults.point("empty group")
        if try !group.waitUntilEmpty(timeout: .zero) {
          try group.kill()
          if try !group.waitUntilEmpty(timeout: .seconds(5)) {
            throw LinuxError("wait until empty", group.path, code: ETIMEDOUT)
          }
        }
      }
      readUsage(group)
      let isRemoved = attempt {
        try Faults.point("remove group")
        try group.remove()
      }
      // One that can't be removed has somebody in it.
      isGone = isGone && isRemoved
    }
    if let workspace {
      observed["workspace"] = workspace.description(path: entry.profile.workspace?.path)
      _ = attempt {
        try Faults.point("close workspace")
        try supervisor.workspaces.close(workspace)
      }
    }
    workspace = nil
    // With its last reference the kernel takes the namespace, and with that the link.
    networkNamespace = nil
    if let users, isGone { supervisor.users.giveBack(users.slot) }
    users = nil
  }

  /// A launcher may be at our request only now, and what it makes must not outlive what is given back here. Whether it is
  /// known then what became of it.
  private mutating func awaitLaunch() -> Bool {
    // Hung up for PID 1, but not for us: it ends when it next listens.
    _ = withExtendedLifetime(control.descriptor) { shutdown(control.descriptor.number, Int32(SHUT_WR)) }
    let deadline = ContinuousClock.now + .seconds(5)
    do {
      while initProcess == nil && !hasFailed {
        guard try waitReadable([control.descriptor], timeout: deadline - ContinuousClock.now)[0] else { return false }
        if case .gone = try hear() { return true }
      }
      return true
    } catch { return hasFailed }
  }

  private mutating func readUsage(_ group: ControlGroup) {
    let controllers = supervisor.groups.controllers
    if controllers.contains("memory") { oomKills = group.count("oom_kill", in: "memory.events") ?? 0 }
    usage = ReadBack.usage(group, controllers: controllers)
  }
}
