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
  private var handed: [Descriptor] = []
  private var users: (slot: Int, firstID: Int)?
  private var networkNamespace: Descriptor?
  private var ways: [PacketFilter.Way] = []
  private var group: ControlGroup?
  private var initProcess: ProcessHandle?
  private var observed: [String: JSONValue] = [:]
  private var usage: [String: JSONValue] = [:]

  init(supervisor: Supervisor, request: SandboxRequest, entry: Catalogue.Entry) {
    self.supervisor = supervisor
    self.request = request
    self.entry = entry
  }

  /// Everything outside the sandbox that it needs: ids, cgroup, link, ways, listeners, mounts.
  mutating func prepare(_ descriptors: [Descriptor]) throws(SetupFailure) {
    guard let range = supervisor.users.take() else {
      throw SetupFailure(
        operation: "take", object: "user range", reason: "all 1000 ranges of this supervisor are in use")
    }
    users = range
    plan = Plan.make(profile: entry.profile, request: request, filter: entry.filter, present: pathKind)
    try outside { sandbox throws(LinuxError) in
      sandbox.group = try sandbox.supervisor.groups.makeGroup(
        "a-\(sandbox.request.activationID)", limits: sandbox.plan.limits)
      try sandbox.openNetwork()
      for source in sandbox.plan.handed { sandbox.handed.append(try sandbox.make(source, descriptors)) }
    }
  }

  private mutating func outside(
    _ body: (inout LiveSandbox) throws(LinuxError) -> Void
  ) throws(SetupFailure) {
    do throws(LinuxError) { try body(&self) } catch { throw SetupFailure(error) }
  }

  private mutating func openNetwork() throws(LinuxError) {
    if entry.profile.network == .none {
      networkNamespace = try supervisor.network.unwired()
      return
    }
    let slot = try supervisor.network.take()
    networkNamespace = slot.namespace
    let gateway = supervisor.network.gateway
    for listener in request.listeners {
      let number = cl_tcp_listener(gateway.number, listener.port, slot.link.name, 128)
      if number < 0 { throw LinuxError.last("listen", "\(gateway):\(listener.port) on \(slot.link.name)") }
      listeners.append(Descriptor(owning: number))
    }
    let wanted = request.listeners.map {
      PacketFilter.Way(interface: slot.link.index, source: slot.link.inside, destination: gateway, port: $0.port)
    }
    try supervisor.network.filter.withLock { (filter) throws(LinuxError) in try filter.open(wanted) }
    ways = wanted
  }

  private func make(_ source: Plan.Handed, _ descriptors: [Descriptor]) throws(LinuxError) -> Descriptor {
    switch source {
    case .readOnlyTree(let path, _):
      let number = cl_open_tree(path, 1)
      if number < 0 { throw LinuxError.last("open_tree", path) }
      let tree = Descriptor(owning: number)
      let attributes = CL_ATTR_RDONLY | CL_ATTR_NOSUID | CL_ATTR_NODEV
      if cl_mount_setattr(tree.number, 1, UInt64(attributes)) < 0 { throw LinuxError.last("mount_setattr", path) }
      return tree
    case .device(let path):
      let number = cl_open_tree(path, 0)
      if number < 0 { throw LinuxError.last("open_tree", path) }
      return Descriptor(owning: number)
    case .file(let index):
      let file = descriptors[3 + index]
      // An unsealed file could change under our hands; a directory would be a way out (CVE-2024-21626).
      if !file.isSealed {
        throw LinuxError("take file", request.files[index].path, code: EPERM, advice: "send a sealed memfd")
      }
      return file
    }
  }

  /// Starts launcher and PID 1 and gives PID 1 its ids.
  mutating func launch(streams: [Descriptor]) throws(SetupFailure) {
    try outside { sandbox throws(LinuxError) in try sandbox.spawnLauncher(streams: streams) }
    guard case (let pid, let pidfd)? = try hearLaunched() else {
      throw SetupFailure(operation: "launch", object: "botburrow-init", reason: "it ended without a word")
    }
    initProcess = ProcessHandle(pid: pid, descriptor: pidfd)
    try outside { sandbox throws(LinuxError) in
      guard let first = sandbox.users?.firstID else { return }
      try writeFile("/proc/\(pid)/uid_map", "0 \(first) \(UserRanges.size)")
      try writeFile("/proc/\(pid)/gid_map", "0 \(first) \(UserRanges.size)")
    }
    try order(ORDER_MAPS_WRITTEN)
  }

  private mutating func spawnLauncher(streams: [Descriptor]) throws(LinuxError) {
    for (index, stream) in streams.prefix(3).enumerated() {
      var status = stat()
      // A directory among the streams would be a way out of the new root (CVE-2024-21626).
      if fstat(stream.number, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        throw LinuxError("take stream", "\(index)", code: EISDIR, advice: "pass a file, pipe, socket or terminal")
      }
    }
    guard let networkNamespace else { return }
    let bytes = PlanEncoder.encode(plan.inside, cloneFlags: Plan.cloneFlags, hasControlGroup: group != nil)
    let planFile = try Descriptor.sealed(bytes, name: "plan")
    let groupDirectory = try group?.open()
    let (mine, theirs) = try PacketSocket.pair()
    control = mine
    // In the order of CPlan.h's plan_descriptor.
    var given: [Descriptor?] = Array(streams.prefix(3))
    given += [theirs.descriptor, supervisor.lifeline.read, planFile, networkNamespace, groupDirectory]
    given += handed
    let launcher = try ProcessHandle(
      child: try spawn(
        "/proc/self/fd/\(supervisor.initProgram.number)", ["botburrow-init"], descriptors: given))
    // The launcher makes PID 1 and ends at once; they hold their own copies of everything. Who reads the program's
    // output must see its end when the program ends, not when we do.
    handed = []
    for stream in streams.prefix(3) { stream.close() }
    // It has next to nothing to do; one that hangs (in the kernel, or replaced by something else) must not hold us.
    if try !waitReadable([launcher.descriptor], timeout: .seconds(10))[0] {
      try launcher.signal(SIGKILL)
      throw LinuxError("launch", "botburrow-init", code: ETIMEDOUT, advice: "look at what holds it up, then try again")
    }
    _ = try launcher.wait()
  }

  private func hearLaunched() throws(SetupFailure) -> (pid_t, Descriptor)? {
    do throws(LinuxError) {
      // The launcher has ended, so what it said is here. If it was killed before it could speak, PID 1 may hold the other
      // end, waiting for us as we would for it.
      guard try waitReadable([control.descriptor], timeout: .zero)[0] else { return nil }
      guard let packet = try control.receive() else { return nil }
      guard packet.bytes.count >= MemoryLayout<init_report>.size else { return nil }
      let message = packet.bytes.withUnsafeBytes { $0.loadUnaligned(as: init_report.self) }
      if message.kind == REPORT_FAILED.rawValue { throw LinuxError(step(message.operation), "", code: message.error) }
      guard message.kind == REPORT_LAUNCHED.rawValue, let pidfd = packet.descriptors.first else { return nil }
      return (message.value, pidfd)
    } catch { throw SetupFailure(error) }
  }

  enum Word {
    case ready, started, gone
    case exited(status: Int32)
  }

  /// The next thing that PID 1 says.
  func hear() throws(SetupFailure) -> Word {
    let packet: (bytes: [UInt8], descriptors: [Descriptor])?
    do throws(LinuxError) { packet = try control.receive() } catch { throw SetupFailure(error) }
    guard let packet, packet.bytes.count >= MemoryLayout<init_report>.size else { return .gone }
    let message = packet.bytes.withUnsafeBytes { $0.loadUnaligned(as: init_report.self) }
    switch message.kind {
    case REPORT_READY.rawValue: return .ready
    case REPORT_STARTED.rawValue: return .started
    case REPORT_EXITED.rawValue: return .exited(status: message.value)
    default:
      let index = Int(message.operation)
      if plan.inside.indices.contains(index) {
        let operation = plan.inside[index]
        throw SetupFailure(operation: operation.name, object: operation.object, reason: errorName(message.error))
      }
      throw SetupFailure(operation: step(message.operation), object: "", reason: errorName(message.error))
    }
  }

  private func step(_ number: UInt32) -> String {
    switch number {
    case PLAN_LAUNCH_READ.rawValue: "read plan"
    case PLAN_LAUNCH_NETWORK.rawValue: "setns network namespace"
    case PLAN_LAUNCH_CLONE.rawValue: "clone3"
    default: "operation \(number)"
    }
  }

  /// Passes a signal on. PID 1 takes them at once; should it hang, a signal is lost rather than the clock stopped.
  func relay(_ signal: UInt8) throws(SetupFailure) {
    do throws(LinuxError) {
      try control.send([UInt8(ORDER_SIGNAL.rawValue), signal], waits: false)
    } catch  where error.code == EAGAIN || error.code == EPIPE {
    } catch { throw SetupFailure(error) }
  }

  func order(_ word: init_order) throws(SetupFailure) {
    do throws(LinuxError) { try control.send([UInt8(word.rawValue)]) } catch { throw SetupFailure(error) }
  }

  /// Reads the walls back from the kernel before the program may run; a wall that isn't there ends the activation.
  mutating func inspect() throws(SetupFailure) {
    guard let pid = initProcess?.pid else { return }
    let namespaces = namespaceIDs(pid: "\(pid)")
    let status: ProcessStatus
    do throws(LinuxError) { status = try ProcessStatus.read(pid: pid) } catch { throw SetupFailure(error) }
    for (name, id) in supervisor.hostNamespaces where namespaces[name] == nil || namespaces[name] == id {
      throw SetupFailure(operation: "inspect", object: "\(name) namespace", reason: "it is the host's")
    }
    if status.capabilities.count != 5 || status.capabilities.values.contains(where: { $0 != 0 }) {
      throw SetupFailure(operation: "inspect", object: "capabilities", reason: "they are not empty")
    }
    if status.seccomp != 2 || !status.noNewPrivileges {
      throw SetupFailure(operation: "inspect", object: "seccomp and no_new_privs", reason: "they are not in force")
    }
    observed["namespaces"] = .object(namespaces.mapValues { .integer(Int64($0)) })
    observed["capabilities"] = .object(status.capabilities.mapValues { .string(padded($0)) })
    observed["seccomp_mode"] = .integer(Int64(status.seccomp ?? 0))
    observed["no_new_privs"] = .bool(status.noNewPrivileges)
    observed["host_uid"] = .integer(Int64(status.userIDs.first ?? 0))
  }

  private func padded(_ set: UInt64) -> String {
    let digits = String(set, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Ends every process and gives everything back. Trouble is reported, never hidden, and never stops the rest.
  mutating func tearDown(report: (Supervisor.Event) -> Void) {
    func attempt(_ body: () throws(LinuxError) -> Void) {
      do throws(LinuxError) { try body() } catch {
        report(.trouble("tear down \(request.activationID): \(error)"))
      }
    }
    let way = ways
    // Whoever of the sandbox still runs has ids of this range: then nobody else may have it.
    var isGone = true
    attempt { () throws(LinuxError) in try group?.kill() }
    if let initProcess {
      attempt { () throws(LinuxError) in
        try initProcess.signal(SIGKILL)
        _ = try initProcess.wait()
      }
    }
    // PID 1 of a launcher that died before it could tell us waits for a word; it hears this, ends, and is reaped.
    control.descriptor.close()
    if initProcess == nil { reapChildren() }
    if let group {
      attempt { () throws(LinuxError) in
        if try !group.waitUntilEmpty(timeout: .seconds(5)) {
          isGone = false
          throw LinuxError("wait until empty", group.path, code: ETIMEDOUT)
        }
        readUsage(group)
        try group.remove()
      }
    }
    if !way.isEmpty {
      attempt { () throws(LinuxError) in
        try supervisor.network.filter.withLock { (filter) throws(LinuxError) in try filter.close(way) }
      }
    }
    // With its last reference the kernel takes the namespace, and with that the link.
    networkNamespace = nil
    if let users, isGone { supervisor.users.giveBack(users.slot) }
    users = nil
  }

  private mutating func readUsage(_ group: ControlGroup) {
    oomKills = group.count("oom_kill", in: "memory.events") ?? 0
    if let microseconds = group.count("usage_usec", in: "cpu.stat") {
      usage["cpu_seconds"] = .number(Double(microseconds) / 1e6)
    }
    if let peak = group.value("memory.peak").flatMap({ Int64($0) }) { usage["memory_peak_bytes"] = .integer(peak) }
  }

  /// What is known now that it is over.
  func receipt(cause: ExitCause, startedAt: Int64, seconds: Double) -> Receipt {
    let limits = plan.limits
    let enforced = Set(supervisor.groups.settings(limits).map(\.file))
    func limit(_ value: JSONValue, _ file: String) -> JSONValue {
      ["value": value, "enforced_by": enforced.contains(file) ? .string("cgroup \(file)") : .null]
    }
    var fields = observed
    fields["activation_id"] = .string(request.activationID)
    fields["profile"] = .string(entry.profile.name)
    fields["profile_digest"] = .string(entry.digest)
    fields["started_at"] = .integer(startedAt)
    fields["wall_seconds"] = .number((seconds * 1e6).rounded() / 1e6)
    fields["host_namespaces"] = .object(supervisor.hostNamespaces.mapValues { .integer(Int64($0)) })
    fields["exit"] = cause.json
    fields["limits"] = [
      "memory_bytes": limit(.integer(Int64(limits.memory)), "memory.max"),
      "cpus": limit(.number(limits.cpus), "cpu.max"),
      "pids": limit(.integer(Int64(limits.pids)), "pids.max"),
      "timeout_seconds": ["value": .number(limits.timeout.seconds), "enforced_by": "supervisor"],
    ]
    fields["not_enforced"] = .array(notEnforced.map { .string($0) })
    fields["usage"] = .object(usage)
    fields["network"] = [
      "gateway": .string(gatewayAddress),
      "ports": .array(request.listeners.map { ["name": .string($0.name), "port": .integer(Int64($0.port))] }),
    ]
    return Receipt(activationID: request.activationID, exit: cause, json: .object(fields))
  }
}

/// What a host path is, for the plan.
private func pathKind(_ path: String) -> Plan.PathKind? {
  var status = stat()
  if lstat(path, &status) < 0 { return nil }
  switch status.st_mode & S_IFMT {
  case S_IFDIR: return .directory
  case S_IFLNK:
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) } ?? 0
    }
    return count > 0 ? .symlink(target: String(decoding: buffer[..<count], as: UTF8.self)) : nil
  default: return .file
  }
}
