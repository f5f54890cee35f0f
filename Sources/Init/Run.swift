import CInit
import CPlan

/// Starts the program and stays: reaps orphans, relays signals, ends with the program or with the supervisor. The process
/// that becomes the program is made at once and waits for the order to start, while the supervisor still reads our walls.
func run(_ operation: Operation, index: UInt32, _ secrets: Secrets) -> Never {
  let signals = blockSignals()
  if signals < 0 { fail(operation: index, signals) }

  // The program's end of this pipe closes with a successful exec, or carries the errno of a failed one.
  var pipe: (Int32, Int32) = (-1, -1)
  let made = withUnsafeMutableBytes(of: &pipe) { call(NR_pipe2.number, address($0.baseAddress), closeOnExec) }
  if made < 0 { fail(operation: index, made) }
  // A plain fork: CLONE_* flags none, SIGCHLD at its end.
  let child = call(NR_clone.number, signalChild)
  if child < 0 { fail(operation: index, child) }
  if child == 0 { execute(operation, failures: Int(pipe.1), secrets) }
  _ = call(NR_close.number, Int(pipe.1))
  // The program's streams are the program's alone: who reads them must see their end when it ends.
  _ = call(NR_close.number, 0)
  _ = call(NR_close.number, 1)
  _ = call(NR_close.number, 2)
  var failure: Int32 = 0
  let count = withUnsafeMutableBytes(of: &failure) { bytes in
    retrying { call(NR_read.number, Int(pipe.0), address(bytes.baseAddress), bytes.count) }
  }
  _ = call(NR_close.number, Int(pipe.0))
  if count > 0 { fail(operation: index, -Int(failure)) }
  supervise(child: child, signals: signals)
}

/// Blocks every signal and gives a descriptor that tells of ended children; or -errno.
private func blockSignals() -> Int {
  var all = UInt64.max
  var children = UInt64(1) << UInt64(signalChild - 1)
  let blocked = withUnsafeBytes(of: &all) { call(NR_rt_sigprocmask.number, 2, address($0.baseAddress), 0, 8) }
  if blocked < 0 { return blocked }
  return withUnsafeBytes(of: &children) { call(NR_signalfd4.number, -1, address($0.baseAddress), 8, closeOnExec) }
}

/// In the child: an own session, every signal as it was, and upon the order to start the program in our place.
private func execute(_ operation: Operation, failures: Int, _ secrets: Secrets) -> Never {
  // No controlling terminal: nothing to push input into (TIOCSTI is denied besides).
  _ = call(NR_setsid.number)
  var none: UInt64 = 0
  _ = withUnsafeBytes(of: &none) { call(NR_rt_sigprocmask.number, 2, address($0.baseAddress), 0, 8) }
  let tables = operation.data.load(as: plan_run.self)
  let candidates = relocate(operation.data, Int(tables.candidates))
  let arguments = relocate(operation.data, Int(tables.arguments))
  let plain = relocate(operation.data, Int(tables.environment))
  let environment = secrets.put(before: plain)
  // It reads its order itself: our parent, the only other one at this socket, waits for what becomes of us.
  awaitOrder(ORDER_START)
  var answer = environment == nil ? -Int(EINVAL) : call(NR_chdir.number, operation.path)
  if answer >= 0 {
    answer = -Int(ENOENT)
    var index = 0
    while candidates[index] != 0 {
      let attempt = call(NR_execve.number, candidates[index], address(arguments), address(environment))
      // As execvp(3): a candidate that may not be run is remembered, one that isn't there is not.
      if attempt != -Int(ENOENT) && attempt != -Int(ENOTDIR) {
        answer = attempt
        if attempt != -Int(EACCES) { break }
      }
      index += 1
    }
  }
  var failure = Int32(truncatingIfNeeded: -answer)
  _ = withUnsafeBytes(of: &failure) { call(NR_write.number, failures, address($0.baseAddress), $0.count) }
  exit(127)
}

/// Turns a table of offsets into one of pointers, in place.
private func relocate(_ base: UnsafeMutableRawPointer, _ offset: Int) -> UnsafeMutablePointer<Int> {
  let table = (base + offset).assumingMemoryBound(to: Int.self)
  var index = 0
  while table[index] != 0 {
    table[index] += address(base)
    index += 1
  }
  return table
}

private func supervise(child: Int, signals: Int) -> Never {
  while true {
    var polled = (
      init_pollfd(descriptor: Int32(PLAN_FD_CONTROL.number), events: pollIn, returned: 0),
      init_pollfd(descriptor: Int32(PLAN_FD_LIFELINE.number), events: 0, returned: 0),
      init_pollfd(descriptor: Int32(signals), events: pollIn, returned: 0)
    )
    let count = withUnsafeMutableBytes(of: &polled) { call(NR_ppoll.number, address($0.baseAddress), 3, 0, 0, 8) }
    if count < 0 { continue }
    if polled.1.returned != 0 { exit(128 + signalKill) }
    if polled.2.returned & pollIn != 0 { reap(child, signals) }
    if polled.0.returned != 0 {
      // A supervisor that hangs up wants us to end.
      let (order, value) = awaitOrder()
      if UInt32(order) == ORDER_SIGNAL.rawValue {
        _ = call(NR_kill.number, -child, Int(value))
      }
    }
  }
}

private func reap(_ child: Int, _ signals: Int) {
  // signalfd_siginfo is 128 bytes; its content doesn't matter.
  var ignored: (SIMD64<UInt8>, SIMD64<UInt8>) = (.init(), .init())
  _ = withUnsafeMutableBytes(of: &ignored) { call(NR_read.number, signals, address($0.baseAddress), $0.count) }
  while true {
    var status: Int32 = 0
    let pid = withUnsafeMutableBytes(of: &status) {
      call(NR_wait4.number, -1, address($0.baseAddress), 1 /* WNOHANG */, 0)
    }
    if pid <= 0 { return }
    if pid == child {
      // With us the kernel ends whatever it left behind.
      report(REPORT_EXITED, value: status)
      exit(0)
    }
  }
}

/// Whether the other end of a pipe is closed.
func isHungUp(_ descriptor: Int) -> Bool {
  var polled = init_pollfd(descriptor: Int32(descriptor), events: 0, returned: 0)
  var now = init_timespec(seconds: 0, nanoseconds: 0)
  let count = withUnsafeMutableBytes(of: &polled) { polled in
    withUnsafeMutableBytes(of: &now) { now in
      call(NR_ppoll.number, address(polled.baseAddress), 1, address(now.baseAddress), 0, 8)
    }
  }
  return count > 0 && polled.returned & (pollHangUp | pollError) != 0
}
