import CInit
import CPlan

/// Launches one sandbox after the other until the supervisor is gone.
func serveLaunches() -> Never {
  // It follows the supervisor's thread that started it. Nobody may look into it, nor into what is copied from it.
  _ = call(NR_prctl.number, Int(PR_SET_PDEATHSIG), signalKill)
  _ = call(NR_prctl.number, Int(PR_SET_DUMPABLE), 0)
  // What was left open by mistake would be a sandbox's, and shift the numbers of what comes with requests.
  _ = call(NR_close_range.number, LAUNCH_FD_STDIN.number, Int(UInt32.max))
  while true {
    var request = launch_request()
    let count = withUnsafeMutableBytes(of: &request) { bytes in
      init_receive(Int32(LAUNCHER_FD_REQUESTS.number), bytes.baseAddress, bytes.count)
    }
    if count == -Int(EINTR) { continue }
    if count <= 0 { exit(0) }
    if count == MemoryLayout<launch_request>.size && request.magic == PLAN_MAGIC && request.version == PLAN_VERSION {
      launch(request)
    }
    // Whatever came along. The supervisor sees a control socket without a word hang up.
    _ = call(NR_close_range.number, LAUNCH_FD_STDIN.number, Int(UInt32.max))
  }
}

private func launch(_ request: launch_request) {
  let control = LAUNCH_FD_CONTROL.number
  // Before the user namespace, which would take away the right to enter namespaces that the host owns (setns(2)).
  var answer =
    faulted(PLAN_LAUNCH_NETWORK, request, to: control)
    ?? call(NR_setns.number, LAUNCH_FD_NETWORK.number, Int(CLONE_NEWNET))
  if answer < 0 { return reportFailure(PLAN_LAUNCH_NETWORK.rawValue, answer, to: control) }
  // Back home in the end: a launcher that waits must not keep a sandbox's network alive.
  defer { if call(NR_setns.number, LAUNCHER_FD_HOME.number, Int(CLONE_NEWNET)) < 0 { exit(1) } }
  answer =
    faulted(PLAN_LAUNCH_MOUNTS, request, to: control)
    ?? call(NR_setns.number, LAUNCH_FD_MOUNTS.number, Int(CLONE_NEWNS))
  if answer < 0 { return reportFailure(PLAN_LAUNCH_MOUNTS.rawValue, answer, to: control) }

  // PID 1 waits at this pipe for its maps. Should we die before they are written, it sees the end instead.
  var pipe: (Int32, Int32) = (-1, -1)
  answer =
    faulted(PLAN_LAUNCH_DESCRIPTORS, request, to: control)
    ?? withUnsafeMutableBytes(of: &pipe) { call(NR_pipe2.number, address($0.baseAddress), closeOnExec) }
  if answer < 0 { return reportFailure(PLAN_LAUNCH_DESCRIPTORS.rawValue, answer, to: control) }
  var pidfd: Int32 = -1
  let pid =
    faulted(PLAN_LAUNCH_CLONE, request, to: control)
    ?? withUnsafeMutablePointer(to: &pidfd) { pidfd in
      var arguments = clone_args()
      // CLONE_PARENT: the supervisor becomes the parent, so it can wait for PID 1 and its thread's death ends it.
      arguments.flags = request.clone_flags | UInt64(INIT_CLONE_PARENT.number) | UInt64(INIT_CLONE_PIDFD.number)
      arguments.pidfd = UInt64(UInt(bitPattern: address(pidfd)))
      if request.flags & LAUNCH_HAS_CGROUP.rawValue != 0 {
        arguments.flags |= init_clone_into_cgroup()
        arguments.cgroup = UInt64(LAUNCH_FD_CGROUP.number)
      }
      return withUnsafePointer(to: &arguments) { arguments in
        call(NR_clone3.number, address(arguments), MemoryLayout<clone_args>.size)
      }
    }
  if pid == 0 { begin(request, maps: Int(pipe.0), written: Int(pipe.1)) }
  if pid < 0 { return reportFailure(PLAN_LAUNCH_CLONE.rawValue, pid, to: control) }
  reportLaunched(pid: pid, pidfd: pidfd, to: control)
  answer = faulted(PLAN_LAUNCH_MAPS, request, to: control) ?? writeMap(of: pid, text("/uid_map"), request)
  if answer >= 0 { answer = writeMap(of: pid, text("/gid_map"), request) }
  if answer < 0 { return reportFailure(PLAN_LAUNCH_MAPS.rawValue, answer, to: control) }
  _ = call(NR_write.number, Int(pipe.1), text("m"), 1)
}

/// In the copy that becomes PID 1: lets go of everything that is the launcher's, waits for its maps, carries out the plan.
private func begin(_ request: launch_request, maps: Int, written: Int) -> Never {
  _ = call(NR_close.number, written)
  var answer = 0
  let moves = (
    (LAUNCH_FD_STDIN.number, 0), (LAUNCH_FD_STDOUT.number, 1), (LAUNCH_FD_STDERR.number, 2),
    // These two take the places of the launcher's own: its requests and the host's /proc.
    (LAUNCH_FD_CONTROL.number, PLAN_FD_CONTROL.number), (LAUNCH_FD_LIFELINE.number, PLAN_FD_LIFELINE.number)
  )
  func move(_ pair: (Int, Int)) {
    if answer >= 0 { answer = call(NR_dup3.number, pair.0, pair.1, 0) }
  }
  move(moves.0)
  move(moves.1)
  move(moves.2)
  move(moves.3)
  move(moves.4)
  if answer >= 0 { answer = call(NR_close_range.number, LAUNCHER_FD_HOME.number, LAUNCH_FD_LIFELINE.number) }
  if answer >= 0 { answer = call(NR_close_range.number, LAUNCH_FD_NETWORK.number, LAUNCH_FD_CGROUP.number) }
  // Were a part of the launcher's still open, nothing may go on.
  if answer < 0 { exit(125) }
  var byte: UInt8 = 0
  let count = withUnsafeMutableBytes(of: &byte) { bytes in
    retrying { call(NR_read.number, maps, address(bytes.baseAddress), 1) }
  }
  _ = call(NR_close.number, maps)
  if count != 1 { exit(125) }
  interpret(mapPlan(request))
}

/// Writes `0 first count` to a map of a new process, by the host's /proc.
private func writeMap(of pid: Int, _ name: Int, _ request: launch_request) -> Int {
  var path = TextBuffer()
  path.append(number: pid)
  path.append(name)
  var line = TextBuffer()
  line.append(text("0 "))
  line.append(number: Int(request.first_id))
  line.append(text(" "))
  line.append(number: Int(request.id_count))
  let file = path.withAddress { path, _ in call(NR_openat.number, LAUNCHER_FD_PROC.number, path, 1 | closeOnExec) }
  if file < 0 { return file }
  let answer = line.withAddress { line, count in call(NR_write.number, file, line, count) }
  _ = call(NR_close.number, file)
  return answer
}

/// A short text that is put together without a heap: 63 bytes and a NUL.
private struct TextBuffer {
  private var bytes: (SIMD32<UInt8>, SIMD32<UInt8>) = (.init(), .init())
  private var count = 0

  mutating func append(byte: UInt8) {
    if count > 62 { return }
    let place = count
    withUnsafeMutableBytes(of: &bytes) { $0[place] = byte }
    count += 1
  }
  mutating func append(_ text: Int) {
    guard let base = UnsafePointer<UInt8>(bitPattern: text) else { return }
    for index in 0..<length(text) { append(byte: base[index]) }
  }
  mutating func append(number: Int) {
    if number >= 10 { append(number: number / 10) }
    append(byte: UInt8(48 + number % 10))
  }
  mutating func withAddress(_ body: (Int, Int) -> Int) -> Int {
    let count = count
    return withUnsafeBytes(of: &bytes) { body(address($0.baseAddress), count) }
  }
}
