import CLinux
import Glibc
import Leftovers
import Linux
import Synchronization

struct SoakError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Where the soak happens: a directory and a cgroup of its own. It is the parent of whatever loses its parent, so nothing
/// that a killed process leaves can hide.
final class World: Sendable {
  let directory: String
  let group: ControlGroup
  private let origin: ControlGroup
  private let ends: SignalWatch
  private let known = Mutex<Set<pid_t>>([])

  /// Call before there are threads.
  init() throws {
    ends = try SignalWatch([SIGCHLD])
    try check(cl_child_subreaper(), "prctl PR_SET_CHILD_SUBREAPER", "")
    directory = "/tmp/botburrow-soak-\(getpid())"
    try check(mkdir(directory, 0o755), "mkdir", directory)
    try check(mkdir(directory + "/profiles", 0o755), "mkdir", directory)
    origin = try ControlGroup.current()
    group = origin.child("soak-\(getpid())")
    try group.create()
    try group.set("cgroup.procs", "\(getpid())")
  }

  /// Everything back; what can't be removed is told.
  func end() throws {
    // After a failure there may be some; their own end with them.
    for process in known.withLock({ $0 }) { kill(process, SIGKILL) }
    _ = holds(within: .seconds(5)) { strays().isEmpty && !isAnyoneHere }
    try removeTree(directory)
    try origin.set("cgroup.procs", "\(getpid())")
    if try !group.waitUntilEmpty(timeout: .seconds(5)) { throw SoakError("\(group.path) still has processes") }
    try group.remove()
    if access(directory, F_OK) == 0 { throw SoakError("\(directory) can't be removed") }
  }

  /// Whether a process that we started is still there.
  private var isAnyoneHere: Bool {
    known.withLock { known in
      known = known.filter { pid in
        var status: Int32 = 0
        return waitpid(pid, &status, WNOHANG) == 0
      }
      return !known.isEmpty
    }
  }

  /// Starts a process that isn't a stray.
  func start(
    _ program: String, _ arguments: [String], environment: [String] = [], errors: Descriptor? = nil
  ) throws -> ProcessHandle {
    let null = try Descriptor.open("/dev/null", O_RDWR)
    return try known.withLock { known in
      let pid = try spawn(
        program, arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment,
        descriptors: [null, null, errors ?? null])
      known.insert(pid)
      return try ProcessHandle(child: pid)
    }
  }

  /// Waits for the end of one of those; nil where the time is up.
  func wait(for process: ProcessHandle, within time: Duration) throws -> ProcessEnd? {
    guard try waitReadable([process.descriptor], timeout: time)[0] else { return nil }
    return try known.withLock { known in
      let end = try process.wait()
      known.remove(process.pid)
      return end
    }
  }

  /// Waits until a child stands still (SIGSTOP) or somebody else has ended; whether it stands.
  func waitForStop(of process: ProcessHandle, or other: ProcessHandle?, within time: Duration) throws -> Bool {
    let deadline = ContinuousClock.now + time
    while ContinuousClock.now < deadline {
      var status: Int32 = 0
      if waitpid(process.pid, &status, WNOHANG | WUNTRACED) == process.pid { return status & 0xff == 0x7f }
      let readable = try waitReadable([ends.descriptor, other?.descriptor], timeout: .milliseconds(100))
      if readable[0] { _ = try ends.next() }
      if readable[1] {
        // It may have ended because of the stop's own doing just before.
        return waitpid(process.pid, &status, WNOHANG | WUNTRACED) == process.pid && status & 0xff == 0x7f
      }
    }
    return false
  }

  /// Living processes that became ours because their parents died; the dead among them are reaped.
  func strays() -> [pid_t] {
    known.withLock { known in
      Watched.children(of: getpid()).filter { pid in
        if known.contains(pid) { return false }
        var status: Int32 = 0
        return waitpid(pid, &status, WNOHANG) == 0
      }
    }
  }
}

/// Looks until it is so, or the time is up.
func holds(within time: Duration, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + time
  while true {
    if try condition() { return true }
    if ContinuousClock.now > deadline { return false }
    usleep(2000)
  }
}
