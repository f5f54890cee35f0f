import Glibc
import Linux
import Sandbox

/// Runs a command on the host, with the host's files and network, and records it.
public struct HostRun: Sendable {
  /// The program that becomes the command, and its `argv`: it must call `RecordedChild.run` with its standard input.
  public var child: (path: String, arguments: [String])
  /// Where the command's output goes.
  public var output: Descriptor
  /// Names both.
  public init(child: (path: String, arguments: [String]), output: Descriptor) {
    (self.child, self.output) = (child, output)
  }

  /// Returns when the command and everything that it started are gone.
  /// - Parameter signals: passed on to the command.
  public func record(
    _ command: Command, base: Profile, surroundings: Surroundings, signals: SignalWatch
  ) throws -> Recording {
    let (mine, theirs) = try PacketSocket.pair()
    // Its orphans become ours, and are ended with it, as in a sandbox.
    try adoptOrphans()
    let others = children()
    let process = try ProcessHandle(
      child: try spawn(
        child.path, child.arguments, descriptors: [theirs.descriptor, output, output], ownGroup: true))
    theirs.descriptor.close()
    do {
      let control = ChildControl(socket: mine)
      try control.send(
        command.order(base: base, surroundings: surroundings), input: try Descriptor.open(command.inputPath))
      let identity = command.identity ?? Identity(uid: geteuid(), gid: getegid())
      let recorder = Recorder(
        try control.listener(), policy: RecordingPolicy(base: base.syscalls), identity: identity)
      while let which = try recorder.serve(until: [process.descriptor, signals.descriptor]), which == 1 {
        let signal = try signals.next()
        kill(-process.pid, signal)
      }
      guard let end = try process.wait() else { throw LearnError("the command's end could not be seen") }
      try endOrphans(except: others)
      return recorder.finish(end)
    } catch {
      kill(-process.pid, SIGKILL)
      _ = try process.wait()
      throw error
    }
  }

  private func children() -> Set<pid_t> {
    let threads = (try? directories(in: "/proc/self/task")) ?? []
    return Set(
      threads.flatMap { thread in
        ((try? readFile("/proc/self/task/\(thread)/children")) ?? "").split(separator: " ").compactMap { pid_t($0) }
      })
  }

  private func endOrphans(except others: Set<pid_t>) throws {
    while true {
      let orphans = children().subtracting(others)
      if orphans.isEmpty { return }
      for pid in orphans {
        let orphan = try ProcessHandle(child: pid)
        try orphan.signal(SIGKILL)
        _ = try orphan.wait()
      }
    }
  }
}
