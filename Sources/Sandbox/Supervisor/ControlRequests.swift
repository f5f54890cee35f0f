import Glibc
import JSON
import Linux

// Requests that are answered at once: `list`, `inspect`, `freeze`, `thaw`, each the first and only message of its
// connection. Root may ask about every sandbox, others about those that they started.

extension Supervisor {
  /// How long a sandbox may take to stop.
  private static let freezeLimit = Duration.seconds(5)

  /// Answers a message that asks for no sandbox; nil where it asks for nothing that is known.
  func answer(_ message: ClientMessage, from user: uid_t) -> SupervisorMessage? {
    if message.list == true { return .init(answer: ["sandboxes": .array(sandboxes(of: user))]) }
    do throws(SandboxRefused) {
      if let id = message.inspect {
        return try with(id, user) { (sandbox) throws(SandboxRefused) in ["inspection": sandbox.inspection.json] }
      }
      if let id = message.freeze { return try freeze(id, true, user) }
      if let id = message.thaw { return try freeze(id, false, user) }
    } catch { return .init(refused: error.description) }
    return nil
  }

  private func sandboxes(of user: uid_t) -> [JSONValue] {
    activations.filter { user == 0 || $0.owner == user }
      .sorted { ($0.startedAt, $0.id) < ($1.startedAt, $1.id) }.map { Self.summary(of: $0) }
  }

  private static func summary(of activation: Activation) -> JSONValue {
    var fields: [String: JSONValue] = [
      "activation_id": .string(activation.id), "user": .integer(Int64(activation.owner)),
      "profile": .string(activation.profile), "started_at": .integer(activation.startedAt), "state": "starting",
    ]
    if let sandbox = activation.running {
      fields["state"] = sandbox.isFrozen ? "frozen" : "running"
      fields["timeout_seconds"] = .number(sandbox.plan.limits.timeout.seconds)
      if let pid = sandbox.pid { fields["pid"] = .integer(Int64(pid)) }
    }
    return .object(fields)
  }

  /// A sandbox of this user's, where its program runs.
  private func with(
    _ id: String, _ user: uid_t, _ body: (LiveSandbox) throws(SandboxRefused) -> JSONValue
  ) throws(SandboxRefused) -> SupervisorMessage {
    // Whose it is, is nobody else's business either.
    guard let activation = activations.first(where: { $0.id == id && (user == 0 || $0.owner == user) }) else {
      return .init(answer: ["missing": .string(id)])
    }
    guard let sandbox = activation.running else {
      throw SandboxRefused("activation '\(id)' is being made or taken down; try again in a moment")
    }
    return .init(answer: try body(sandbox))
  }

  private func freeze(_ id: String, _ frozen: Bool, _ user: uid_t) throws(SandboxRefused) -> SupervisorMessage {
    try with(id, user) { (sandbox) throws(SandboxRefused) in
      guard let group = sandbox.group else {
        throw SandboxRefused("activation '\(id)' has no cgroup to freeze: this host has no cgroup v2 hierarchy")
      }
      do throws(LinuxError) {
        if try !group.freeze(frozen, timeout: Self.freezeLimit) {
          // Half of it standing still helps nobody.
          if frozen { try group.set("cgroup.freeze", "0") }
          throw LinuxError(
            "wait for frozen \(frozen ? 1 : 0)", group.path, code: ETIMEDOUT,
            advice: "a process of it waits in the kernel and can't be stopped")
        }
      } catch  where error.code == ENOENT || error.code == ENODEV {
        throw SandboxRefused("activation '\(id)' ended meanwhile")
      } catch { throw SandboxRefused("activation '\(id)' can't be \(frozen ? "frozen" : "thawed"): \(error)") }
      return ["state": frozen ? "frozen" : "running"]
    }
  }
}

extension LiveSandbox {
  /// PID 1, once it is known.
  var pid: pid_t? { initProcess?.pid }

  /// Whether every process of it stands still.
  var isFrozen: Bool { group?.count("frozen", in: "cgroup.events") == 1 }

  /// What must be found by whoever reads the kernel's word of it.
  var inspection: Inspection {
    var limits: [Int: UInt64] = [:]
    var writable: Set<String> = []
    var devices = Set(["null", "zero", "full", "random", "urandom", "tty"].map { "/dev/\($0)" })
    for operation in plan.inside {
      switch operation {
      case .limit(let resource, let value): limits[resource.rawValue] = UInt64(value)
      case .mount(_, let path, let flags, _): if !flags.contains(.readOnly) { writable.insert(path) }
      case .attach(_, let path): writable.insert(path)
      case .maskFile(let path): devices.insert(path)
      default: break
      }
    }
    var files: [String: String] = [:]
    if group != nil {
      // A file that takes a line a device stands here once for each.
      for (file, value) in supervisor.groups.settings(plan.limits) {
        files[file] = files[file].map { "\($0)\n\(value)" } ?? value
      }
    }
    var now = self
    if let gate, let denials = try? supervisor.network.filter.denials(of: gate) { now.denials = denials }
    let current = try? supervisor.catalogue.entry(entry.profile.name).digest
    return Inspection(
      receipt: .object(now.receiptSoFar), pid: initProcess?.pid ?? 0, supervisorPID: getpid(), groupPath: group?.path,
      groupFiles: files, limits: limits, firstID: users?.firstID ?? 0, uid: entry.profile.uid,
      interface: gate?.interface, ways: Set(gate?.ways ?? []), writable: writable, devices: devices,
      currentDigest: current)
  }
}
