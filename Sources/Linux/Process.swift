import CLinux
import Glibc

/// How a process ended.
public enum ProcessEnd: Sendable, Hashable {
  case exited(Int32)
  case signaled(Int32)

  /// From the status of wait(2).
  public init(waitStatus status: Int32) {
    self = cl_signaled(status) != 0 ? .signaled(cl_signal(status)) : .exited(cl_exit_code(status))
  }
}

/// Ends this process (SIGTERM) when its parent ends, which must still be `parent`.
public func followParent(_ parent: pid_t) throws(LinuxError) {
  try check(cl_parent_death_signal(SIGTERM), "prctl PR_SET_PDEATHSIG", "SIGTERM")
  // It may have ended before the signal was armed.
  if getppid() != parent { throw LinuxError("getppid", "\(parent)", code: ESRCH, advice: "the parent has ended") }
}

/// Takes this process's memory out of core dumps, and its environment and files out of others' sight in /proc
/// (PR_SET_DUMPABLE, prctl(2)). Call it after changes of user, which set it anew.
public func hideProcess() throws(LinuxError) {
  try check(cl_not_dumpable(), "prctl PR_SET_DUMPABLE", "0")
}

/// A copy of a descriptor above every number that `spawn` gives away, so that `/proc/self/fd/N` still means it there.
public func aboveSpawned(_ descriptor: Descriptor) throws(LinuxError) -> Descriptor {
  Descriptor(
    owning: try check(cl_duplicate_from(descriptor.number, firstCopy), "fcntl F_DUPFD_CLOEXEC", "\(descriptor.number)"))
}

private let firstCopy: Int32 = 600

/// Starts `executable` with the given descriptors as 0, 1, 2, … and nothing else open (posix_spawn(3): its cost doesn't
/// grow with our heap, and nothing of ours runs in the child). The child's PDEATHSIG and parent are the calling thread.
public func spawn(
  _ executable: String, _ arguments: [String], environment: [String] = [], descriptors: [Descriptor?],
  ownGroup: Bool = false
) throws(LinuxError) -> pid_t {
  var actions = posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawnattr_init(&attributes)
  defer {
    posix_spawn_file_actions_destroy(&actions)
    posix_spawnattr_destroy(&attributes)
  }
  if descriptors.count > Int(firstCopy) {
    throw LinuxError("spawn", executable, code: E2BIG, advice: "hand over at most \(firstCopy) descriptors")
  }
  // Copies above every target, so that no dup2 tramples on the source of a later one.
  var copies: [Descriptor] = []
  for (target, source) in descriptors.enumerated() {
    guard let source else { continue }
    let copy = try aboveSpawned(source)
    copies.append(copy)
    posix_spawn_file_actions_adddup2(&actions, copy.number, Int32(target))
  }
  // Not every library opens with O_CLOEXEC (SwiftNIO's sockets), and a copy in a child keeps a connection from ending.
  // A program that is itself given by descriptor needs that one until exec.
  if !executable.hasPrefix("/proc/self/fd/") {
    let failure = cl_spawn_close_from(&actions, Int32(max(descriptors.count, 3)))
    if failure != 0 { throw LinuxError("posix_spawn_file_actions_addclosefrom_np", executable, code: failure) }
  }
  // What we block and ignore is our affair.
  var mask = sigset_t()
  sigemptyset(&mask)
  posix_spawnattr_setsigmask(&attributes, &mask)
  var defaults = sigset_t()
  sigfillset(&defaults)
  posix_spawnattr_setsigdefault(&attributes, &defaults)
  posix_spawnattr_setpgroup(&attributes, 0)
  let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0)
  posix_spawnattr_setflags(&attributes, Int16(flags))
  var pid: pid_t = 0
  // An array may be let go after its last use, and the copies would close with it.
  let code = withExtendedLifetime(copies) {
    withArgumentVector(arguments) { argv in
      withArgumentVector(environment) { envp in posix_spawn(&pid, executable, &actions, &attributes, argv, envp) }
    }
  }
  if code != 0 { throw LinuxError("posix_spawn", executable, code: code) }
  return pid
}

private func withArgumentVector<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  let pointers = texts.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeBufferPointer { buffer in
    buffer.baseAddress.map(body) ?? withUnsafePointer(to: nil) { body($0) }
  }
}

/// A child that is held by descriptor, so that its number can't come to mean another process.
public struct ProcessHandle: Sendable {
  /// Number in our pid namespace, for /proc.
  public let pid: pid_t
  /// pidfd_open(2), for poll(2): readable when it ended.
  public let descriptor: Descriptor

  /// Wraps a pidfd that came with the pid.
  public init(pid: pid_t, descriptor: Descriptor) {
    self.pid = pid
    self.descriptor = descriptor
  }

  /// Takes hold of a child of ours (nobody else can have reaped it).
  public init(child pid: pid_t) throws(LinuxError) {
    self.init(pid: pid, descriptor: Descriptor(owning: try check(cl_pidfd_open(pid), "pidfd_open", "\(pid)")))
  }

  /// Sends a signal; a process that is gone is no error.
  public func signal(_ number: Int32) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    if cl_pidfd_kill(descriptor.number, number) < 0 && errno != ESRCH {
      throw LinuxError.last("pidfd_send_signal \(number)", "pid \(pid)")
    }
  }

  /// Waits for its end and reaps it; with `now`, nil while it runs.
  public func wait(now: Bool = false) throws(LinuxError) -> ProcessEnd? {
    defer { withExtendedLifetime(descriptor) {} }
    var (code, status): (Int32, Int32) = (0, 0)
    try check(cl_wait_pidfd(descriptor.number, now ? 1 : 0, &code, &status), "waitid", "pid \(pid)")
    if code == 0 { return nil }
    return code == 1 /* CLD_EXITED */ ? .exited(status) : .signaled(status)
  }
}

/// Waits until one of the descriptors has something (POLLIN, or its peer is gone) or the time is up.
/// Returns which; empty at the time-out.
public func waitReadable(_ descriptors: [Descriptor?], timeout: Duration?) throws(LinuxError) -> [Bool] {
  var entries = descriptors.map { pollfd(fd: $0?.number ?? -1, events: Int16(POLLIN), revents: 0) }
  let deadline = timeout.map { ContinuousClock.now + $0 }
  while true {
    // Rounded up, so that it isn't over a little too early again and again; only a look takes no time at all.
    let left = deadline.map { deadline in
      timeout == .zero ? 0 : max(0, (deadline - ContinuousClock.now).milliseconds + 1)
    }
    let count = withExtendedLifetime(descriptors) {
      poll(&entries, nfds_t(entries.count), left.map { Int32(clamping: $0) } ?? -1)
    }
    if count < 0 && errno == EINTR { continue }
    try check(count, "poll", "")
    if count == 0, timeout != .zero, let deadline, ContinuousClock.now < deadline { continue }
    return entries.map { $0.revents != 0 }
  }
}

/// What the kernel says of a process's walls.
public struct ProcessStatus: Sendable, Hashable {
  /// `CapInh`, `CapPrm`, `CapEff`, `CapBnd`, `CapAmb` as in /proc/<pid>/status.
  public var capabilities: [String: UInt64]
  /// 0 none, 1 strict, 2 filter.
  public var seccomp: Int?
  /// `NoNewPrivs` of prctl(2): exec grants nothing any more.
  public var noNewPrivileges: Bool
  /// Real, effective, saved and file-system user id, in the reader's user namespace.
  public var userIDs: [UInt32]

  /// Reads the text of /proc/<pid>/status.
  public init(text: String) {
    // Some sixty lines, of which eight are wanted; a sandbox's program waits for this.
    var fields: [Substring: Substring] = [:]
    for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
      guard let first = line.first,
        [UInt8(ascii: "C"), UInt8(ascii: "N"), UInt8(ascii: "S"), UInt8(ascii: "U")].contains(first),
        let colon = line.firstIndex(of: UInt8(ascii: ":"))
      else { continue }
      fields[Substring(line[..<colon])] = Substring(line[line.index(after: colon)...])
    }
    func words(_ key: Substring) -> [Substring] { fields[key]?.split { $0 == "\t" || $0 == " " } ?? [] }
    capabilities = [:]
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
      capabilities[name] = words(Substring(name)).first.flatMap { UInt64($0, radix: 16) }
    }
    seccomp = words("Seccomp").first.flatMap { Int($0) }
    noNewPrivileges = words("NoNewPrivs").first == "1"
    userIDs = words("Uid").compactMap { UInt32($0) }
  }

  /// Of a living process.
  public static func read(pid: pid_t) throws(LinuxError) -> ProcessStatus {
    ProcessStatus(text: try readFile("/proc/\(pid)/status"))
  }
}

/// Inode numbers of a process's namespaces by name (`user`, `mnt`, `pid`, …), as namespaces(7) shows them.
public func namespaceIDs(
  pid: String, _ names: [String] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
) -> [String: UInt64] {
  var ids: [String: UInt64] = [:]
  for name in names {
    var status = stat()
    if stat("/proc/\(pid)/ns/\(name)", &status) == 0 { ids[name] = UInt64(status.st_ino) }
  }
  return ids
}
