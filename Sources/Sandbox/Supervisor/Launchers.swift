import CLinux
import CPlan
import Glibc
import Linux
import Synchronization

/// A few processes that make PID 1s, started once: starting one takes longer than making a sandbox's namespaces.
///
/// They all read from one socket, so that whoever is free takes the next request, and a request that waits outlives a
/// launcher that dies. One thread starts them, is the parent of every PID 1 (which launchers make with CLONE_PARENT) and
/// reaps them all; it never ends, for the death signal of its children follows the thread.
final class Launchers: Sendable {
  private let program: Descriptor
  private let home: Descriptor
  private let requests: (mine: PacketSocket, theirs: PacketSocket)
  private let report: @Sendable (LinuxError) -> Void
  private let living = Mutex<Set<pid_t>>([])
  private let isEnding = Atomic<Bool>(false)

  /// - Parameters:
  ///   - program: `botburrow-init`, open above the numbers that `spawn` gives away.
  ///   - home: the network namespace in which launchers wait.
  init(
    program: Descriptor, home: Descriptor, count: Int, report: @escaping @Sendable (LinuxError) -> Void
  ) throws(LinuxError) {
    self.program = program
    self.home = home
    self.report = report
    try Faults.point("prepare launchers")
    requests = try PacketSocket.pair()
    Thread.detach { [self] in keepRunning(count) }
  }

  /// Has a sandbox launched; the launcher and PID 1 answer on the control socket among the descriptors, which stand in the
  /// order of CPlan.h's `launch_descriptor`.
  func launch(firstID: Int, hasControlGroup: Bool, descriptors: [Descriptor]) throws(LinuxError) {
    let request = launch_request(
      magic: PLAN_MAGIC, version: PLAN_VERSION, clone_flags: UInt64(Plan.cloneFlags),
      flags: hasControlGroup ? LAUNCH_HAS_CGROUP.rawValue : 0, first_id: UInt32(firstID),
      id_count: UInt32(UserRanges.size), fault: Faults.launchMark)
    try requests.mine.send(withUnsafeBytes(of: request) { Array($0) }, descriptors: descriptors)
  }

  /// Ends them, and waits for that: a launcher is gone before its supervisor says that it is.
  func end() {
    isEnding.store(true, ordering: .releasing)
    // They read the end of their requests.
    _ = withExtendedLifetime(requests.mine.descriptor) { shutdown($0.number, Int32(SHUT_RDWR)) }
    let deadline = ContinuousClock.now + .seconds(1)
    while !living.withLock({ $0.isEmpty }) && ContinuousClock.now < deadline { usleep(500) }
  }

  /// The body of the thread.
  private func keepRunning(_ count: Int) {
    // One that dies young is broken: starting it again at once would keep a core busy with that.
    var pause: useconds_t = 0
    var started = ContinuousClock.now
    while true {
      while !isEnding.load(ordering: .acquiring), living.withLock({ $0.count }) < count {
        started = ContinuousClock.now
        do throws(LinuxError) { try start() } catch {
          report(error)
          break
        }
      }
      let child = cl_wait_child_of_thread()
      let wasLauncher = living.withLock { $0.remove(child) != nil }
      if child > 0 && !wasLauncher { continue }
      if isEnding.load(ordering: .acquiring) {
        if child < 0 { return }
        continue
      }
      if child > 0 {
        report(LinuxError("launcher", "\(child)", code: ECHILD, advice: "it ended, and another is started"))
      }
      pause = ContinuousClock.now - started > .seconds(1) ? 0 : min(1_000_000, max(1_000, pause * 2))
      usleep(pause)
    }
  }

  private func start() throws(LinuxError) {
    try Faults.point("start launcher")
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let proc = try Descriptor.open("/proc", O_RDONLY | O_DIRECTORY)
    // In the order of CPlan.h's launcher_descriptor.
    let pid = try spawn(
      "/proc/self/fd/\(program.number)", ["botburrow-init"],
      descriptors: [null, null, null, requests.theirs.descriptor, proc, home])
    living.withLock { _ = $0.insert(pid) }
  }
}
