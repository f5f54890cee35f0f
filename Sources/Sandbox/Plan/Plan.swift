import CLinux
import Linux

/// A whole sandbox as plain data: what the supervisor does outside, and what PID 1 does inside, each in its order.
public struct Plan: Sendable, Hashable {
  /// A descriptor that the supervisor makes and PID 1 uses, by its place in `descriptors`.
  public enum Handed: Sendable, Hashable {
    /// A detached, recursive, read-only copy of a host path's mount.
    case readOnlyTree(path: String, optional: Bool)
    /// A detached copy of a host device node's mount.
    case device(path: String)
    /// A file of the request, by its place there.
    case file(index: Int)
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
  /// Decides everything; touches nothing.
  /// - Parameters:
  ///   - filter: the profile's compiled seccomp program.
  ///   - present: whether the host has an optional path, and whether it is a directory (nil: it hasn't).
  public static func make(
    profile: Profile, request: SandboxRequest, filter: [UInt8], present: (String) -> PathKind?
  ) -> Plan {
    var builder = PlanBuilder(profile: profile, request: request)
    builder.buildRoot()
    builder.buildFiles(present: present)
    builder.buildScratch()
    builder.closeRoot()
    builder.dropPrivileges(filter: filter)
    builder.run()
    return Plan(
      handed: builder.handed, inside: builder.operations, limits: request.limits.tightening(profile.limits))
  }

  /// What a host path is, as far as the plan must know: a mount point for it must be of the same kind.
  public enum PathKind: Sendable, Hashable {
    case directory
    case file
    case symlink(target: String)
  }
}

/// The sandbox's page: read `Plan.make` for the order and each part below for what it does.
private struct PlanBuilder {
  let profile: Profile
  let request: SandboxRequest
  var handed: [Plan.Handed] = []
  var operations: [InsideOperation] = []
  private var made: Set<String> = ["/"]

  init(profile: Profile, request: SandboxRequest) {
    self.profile = profile
    self.request = request
  }

  /// A new empty root. /proc is mounted before the old root goes: the kernel lets a user namespace have a new one only
  /// where it can see one whole (mount_too_revealing).
  mutating func buildRoot() {
    operations += [
      .awaitMaps,
      .setIdentity(uid: 0, gid: 0),
      .unshare(flags: CL_NEWCGROUP),
      .hostname(profile.hostname),
      .makePropagationPrivate,
      .mount(type: "tmpfs", at: "/tmp", flags: [.noSetuid, .noDevices], options: "size=1m,nr_inodes=2k,mode=755"),
      .makeDirectory("/tmp/proc", mode: 0o555),
      .mount(type: "proc", at: "/tmp/proc", flags: [.noSetuid, .noDevices, .noExec], options: "hidepid=invisible"),
      .pivotRoot("/tmp"),
    ]
    made.insert("/proc")
  }

  /// Everything readable. From here on no host path is named: its parts come as descriptors.
  mutating func buildFiles(present: (String) -> Plan.PathKind?) {
    for entry in profile.readOnly {
      guard let kind = present(entry.path) else {
        // A required path that is missing fails where it is opened, with its name.
        if !entry.optional {
          attach(.readOnlyTree(path: entry.path, optional: false), at: entry.path, kind: .directory)
        }
        continue
      }
      if case .symlink(let target) = kind {
        makeParents(of: entry.path)
        operations.append(.makeSymlink(entry.path, target: target))
      } else {
        attach(.readOnlyTree(path: entry.path, optional: entry.optional), at: entry.path, kind: kind)
      }
    }
    makeDirectory("/dev")
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
      attach(.device(path: "/dev/\(name)"), at: "/dev/\(name)", kind: .file)
    }
    for (name, target) in [
      ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx"),
    ] { operations.append(.makeSymlink("/dev/\(name)", target: target)) }
    makeDirectory("/dev/pts")
    operations.append(
      .mount(
        type: "devpts", at: "/dev/pts", flags: [.noSetuid, .noExec], options: "newinstance,ptmxmode=0666,mode=620"))
    makeEtc()
    operations += profile.masked.map { .mask($0) }
    // No user namespace below this one (besides the filter's no): the kernel counts per namespace.
    operations.append(.write("0", to: "/proc/sys/user/max_user_namespaces"))
    operations += profile.readOnlyProc.map { .readOnly($0) }
  }

  /// The few files of /etc that programs ask for, made new: nothing of the host's accounts shows.
  private mutating func makeEtc() {
    makeDirectory("/etc")
    let home = profile.environment["HOME"] ?? "/workspace"
    let files = [
      ("passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:\(profile.uid):\(profile.gid):agent:\(home):/bin/sh\n"),
      ("group", "root:x:0:\nagent:x:\(profile.gid):\n"),
      ("hosts", "127.0.0.1 localhost\n\(gatewayAddress) gateway\n"),
      ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
      ("resolv.conf", ""),
      ("hostname", profile.hostname + "\n"),
    ]
    for (name, text) in files {
      operations.append(.makeFile("/etc/\(name)", mode: 0o444, content: Array(text.utf8)))
    }
  }

  /// Everything writable, each with a size.
  mutating func buildScratch() {
    for scratch in profile.scratch {
      makeDirectory(scratch.path)
      operations.append(
        .mount(
          type: "tmpfs", at: scratch.path, flags: [.noSetuid, .noDevices],
          options: "size=\(scratch.size),nr_inodes=\(scratch.inodes),mode=0700,uid=\(profile.uid),gid=\(profile.gid)"))
    }
    makeDirectory("/run/agent")
    operations.append(
      .mount(
        type: "tmpfs", at: "/run/agent", flags: [.noSetuid, .noDevices], options: "size=64m,nr_inodes=4k,mode=755"))
    operations.append(.makeDirectory("/run/agent/out", mode: 0o1777))
    made.formUnion(["/run/agent/out"])
    for (index, file) in request.files.enumerated() {
      let path = "/run/agent/" + file.path
      makeParents(of: path)
      handed.append(.file(index: index))
      operations.append(.copyFile(descriptor: handed.count - 1, to: path, mode: 0o444))
    }
  }

  mutating func closeRoot() {
    operations.append(.remountReadOnly("/"))
  }

  /// The order is the kernel's: bounding set and securebits need privilege; a uid change clears the death signal and
  /// resets dumpability; the filter comes last, for it denies most of what stands before it.
  mutating func dropPrivileges(filter: [UInt8]) {
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
      .closeDescriptors(from: 5),
      .seccomp(filter),
      .ready,
    ]
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
          workingDirectory: request.workingDirectory ?? environment["HOME"] ?? "/")))
  }

  private mutating func attach(_ source: Plan.Handed, at path: String, kind: Plan.PathKind) {
    makeParents(of: path)
    if kind == .directory {
      makeDirectory(path)
    } else {
      operations.append(.makeFile(path, mode: 0o444, content: []))
    }
    handed.append(source)
    operations.append(.attach(descriptor: handed.count - 1, at: path))
  }

  private mutating func makeParents(of path: String) {
    let parts = path.split(separator: "/").dropLast()
    if !parts.isEmpty { makeDirectory("/" + parts.joined(separator: "/")) }
  }

  private mutating func makeDirectory(_ path: String) {
    var current = ""
    for part in path.split(separator: "/") {
      current += "/" + part
      if made.insert(current).inserted { operations.append(.makeDirectory(current, mode: 0o755)) }
    }
  }
}
