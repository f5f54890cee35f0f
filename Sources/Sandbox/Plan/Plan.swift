import CLinux
import Linux

/// What one activation adds to its profile's root, as plain data: what the supervisor hands in, and what PID 1 does, in its
/// order. PID 1 begins in a copy of the root that `RootPlan` describes; nothing of the host is mounted there.
public struct Plan: Sendable, Hashable {
  /// A descriptor that the supervisor hands in and PID 1 uses, by its place in `descriptors`.
  public enum Handed: Sendable, Hashable {
    /// A file of the request, by its place there.
    case file(index: Int)
    /// The request's secret environment.
    case secrets
    /// The agent's persistent workspace, of this many bytes.
    case workspace(agent: String, size: Int)
  }
  /// What the supervisor makes and hands in, in the order of the plan's descriptors.
  public var handed: [Handed]
  /// What PID 1 does, in its order.
  public var inside: [InsideOperation]
  /// The profile's limits as the request tightened them.
  public var limits: Profile.Limits
  /// Namespaces that PID 1 is born in (the network's it inherits, the cgroup's it makes once it is in its group).
  public static let cloneFlags =
    CL_NEWUSER | CL_NEWNS | CL_NEWPID | CL_NEWIPC | CL_NEWUTS
    | CL_NEWTIME
}

extension Plan {
  /// What the supervisor found out about host and kernel when it laid the profile's root out.
  public struct Ground: Sendable, Hashable {
    /// The profile's seccomp program.
    public var filter: [UInt8]
    /// The profile's masked and read-only paths, as far as they are there.
    public var covered: [Covered]
    /// Landlock as this kernel has it; nil: without.
    public var landlock: LandlockPolicy?

    /// A path under which something may not be seen or written.
    public enum Covered: Sendable, Hashable {
      case maskedFile(String)
      case maskedDirectory(String)
      case readOnly(String)
    }
    /// Puts the findings together.
    public init(filter: [UInt8], covered: [Covered] = [], landlock: LandlockPolicy? = nil) {
      self.filter = filter
      self.covered = covered
      self.landlock = landlock
    }
  }

  /// Decides everything; touches nothing.
  public static func make(profile: Profile, request: SandboxRequest, ground: Ground) -> Plan {
    var builder = PlanBuilder(profile: profile, request: request)
    builder.begin()
    builder.cover(ground.covered)
    builder.buildScratch()
    builder.dropPrivileges(ground)
    builder.run()
    return Plan(
      handed: builder.handed, inside: builder.operations, limits: request.limits.tightening(profile.limits))
  }
}

/// The activation's page: read `Plan.make` for the order and each part below for what it does.
private struct PlanBuilder {
  let profile: Profile
  let request: SandboxRequest
  var handed: [Plan.Handed] = []
  var operations: [InsideOperation] = []
  private var made: Set<String> = ["/run/agent"]

  init(profile: Profile, request: SandboxRequest) {
    self.profile = profile
    self.request = request
  }

  /// What shows this namespace's own processes and terminals can only be mounted in it.
  mutating func begin() {
    operations += [
      .setIdentity(uid: 0, gid: 0),
      .unshare(flags: CL_NEWCGROUP),
      .hostname(profile.hostname),
      .mount(type: "proc", at: "/proc", flags: [.noSetuid, .noDevices, .noExec], options: "hidepid=invisible"),
      .mount(
        type: "devpts", at: "/dev/pts", flags: [.noSetuid, .noExec], options: "newinstance,ptmxmode=0666,mode=620"),
      // No user namespace below this one (besides the filter's no): the kernel counts per namespace.
      .write("0", to: "/proc/sys/user/max_user_namespaces"),
    ]
  }

  mutating func cover(_ covered: [Plan.Ground.Covered]) {
    operations += covered.map { covered in
      switch covered {
      case .maskedFile(let path): .maskFile(path)
      case .maskedDirectory(let path): .maskDirectory(path)
      case .readOnly(let path): .readOnly(path)
      }
    }
  }

  /// Everything writable, each with a size.
  mutating func buildScratch() {
    for scratch in scratch {
      operations.append(
        .mount(
          type: "tmpfs", at: scratch.path, flags: [.noSetuid, .noDevices],
          options: "size=\(scratch.size),nr_inodes=\(scratch.inodes),mode=0700,uid=\(profile.uid),gid=\(profile.gid)"))
    }
    if let workspace = profile.workspace, let agent = request.workspace {
      handed.append(.workspace(agent: agent, size: workspaceSize(workspace)))
      operations += [.awaitMappedMounts, .attach(descriptor: handed.count - 1, at: workspace.path)]
    }
    operations.append(
      .mount(
        type: "tmpfs", at: "/run/agent", flags: [.noSetuid, .noDevices], options: "size=64m,nr_inodes=4k,mode=755"))
    operations.append(.makeDirectory("/run/agent/out", mode: 0o1777))
    for (index, file) in request.files.enumerated() {
      let path = "/run/agent/" + file.path
      makeParents(of: path)
      handed.append(.file(index: index))
      operations.append(.copyFile(descriptor: handed.count - 1, to: path, mode: 0o444))
    }
    if request.hasSecrets {
      handed.append(.secrets)
      operations.append(.mapSecrets(descriptor: handed.count - 1))
    }
  }

  /// In memory: what the profile lists, and in place of a persistent workspace that nobody asked for a passing one.
  private var scratch: [Profile.Scratch] {
    guard let workspace = profile.workspace, request.workspace == nil else { return profile.scratch }
    return profile.scratch + [Profile.Scratch(path: workspace.path, size: workspaceSize(workspace), inodes: 65536)]
  }

  private func workspaceSize(_ workspace: Profile.Workspace) -> Int {
    min(workspace.size, request.limits.workspaceBytes ?? .max)
  }

  /// The order is the kernel's: bounding set and securebits need privilege; a uid change clears the death signal and
  /// resets dumpability; the filter comes last, for it denies most of what stands before it.
  mutating func dropPrivileges(_ ground: Plan.Ground) {
    let limits = request.limits.tightening(profile.limits)
    operations += [
      // Not 0: a core_pattern that pipes to a program of the host runs it, as root, at any limit but this (core(5)).
      .limit(.core, 1),
      .limit(.openFiles, limits.openFiles),
      .limit(.fileSize, limits.fileSize),
      .limit(.processes, limits.pids),
      .limit(.lockedMemory, 64 << 10),
      .limit(.messageQueues, 0),
      .dropBoundingSet,
      // NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, each locked (capabilities(7)).
      .secureBits(0xef),
      .noNewPrivileges,
      .setIdentity(uid: profile.uid, gid: profile.gid),
      .parentDeathSignal(9),
      .dropCapabilities,
      .notDumpable,
    ]
    if let landlock = ground.landlock { operations.append(.landlock(landlock)) }
    operations += [.closeDescriptors(from: 5), .seccomp(ground.filter), .ready]
  }

  mutating func run() {
    var environment = profile.environment
    environment.merge(request.environment) { _, asked in asked }
    let name = request.arguments.first ?? ""
    let path = environment["PATH"] ?? "/usr/bin:/bin"
    // Bounded, for both texts are the request's: their product could be gigabytes.
    let candidates =
      name.contains("/")
      ? [name] : path.split(separator: ":").prefix(64).map { "\($0)/\(name)" }.filter { $0.utf8.count < 4096 }
    operations.append(
      .run(
        InsideOperation.Program(
          candidates: candidates, arguments: request.arguments,
          environment: environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
          hasSecrets: request.hasSecrets,
          workingDirectory: request.workingDirectory ?? environment["HOME"] ?? "/")))
  }

  private mutating func makeParents(of path: String) {
    var current = ""
    for part in path.split(separator: "/").dropLast() {
      current += "/" + part
      if current.hasPrefix("/run/agent"), made.insert(current).inserted {
        operations.append(.makeDirectory(current, mode: 0o755))
      }
    }
  }
}
