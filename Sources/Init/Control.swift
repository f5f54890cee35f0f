import CInit
import CPlan

/// Tells the supervisor, by default as PID 1. A supervisor that is gone ends us by the lifeline, so the answer doesn't matter here.
func report(
  _ kind: report_kind, value: Int32 = 0, operation: UInt32 = 0, error: Int32 = 0,
  to control: Int = PLAN_FD_CONTROL.number
) {
  var message = init_report(kind: kind.rawValue, value: value, operation: operation, error: error)
  _ = withUnsafeBytes(of: &message) { bytes in
    retrying { call(NR_sendto.number, control, address(bytes.baseAddress), bytes.count, 0x4000 /* MSG_NOSIGNAL */) }
  }
}

/// Reports a launcher's failed step; it goes on with the next request.
func reportFailure(_ operation: UInt32, _ answer: Int, to control: Int) {
  report(REPORT_FAILED, operation: operation, error: Int32(truncatingIfNeeded: -answer), to: control)
}

/// Reports a failed step and ends: a half-made sandbox is never "good enough".
func fail(operation: UInt32, _ answer: Int) -> Never {
  report(REPORT_FAILED, operation: operation, error: Int32(truncatingIfNeeded: -answer))
  exit(125)
}

/// Sends REPORT_LAUNCHED with the pidfd of PID 1 (SCM_RIGHTS, unix(7)).
func reportLaunched(pid: Int, pidfd: Int32, to socket: Int) {
  var message = init_report(
    kind: REPORT_LAUNCHED.rawValue, value: Int32(truncatingIfNeeded: pid), operation: 0, error: 0)
  // cmsghdr (16 bytes) and one descriptor, padded to the alignment of cmsghdr.
  var rights = init_rights(length: 20, level: 1, type: 1, descriptor: pidfd, padding: 0)
  // A supervisor that doesn't hear it has hung up, and PID 1 sees that too.
  _ = withUnsafeMutableBytes(of: &message) { bytes in
    withUnsafeMutableBytes(of: &rights) { control in
      var vector = init_iovec(base: bytes.baseAddress, length: bytes.count)
      return withUnsafeMutablePointer(to: &vector) { vector in
        var header = init_msghdr(
          name: nil, name_length: 0, vectors: vector, vector_count: 1, control: control.baseAddress,
          control_length: control.count, flags: 0)
        return withUnsafePointer(to: &header) { header in
          retrying { call(NR_sendmsg.number, socket, address(header), 0x4000 /* MSG_NOSIGNAL */) }
        }
      }
    }
  }
}

/// Waits for one order of the supervisor: its first byte and the one behind it. Ends when the supervisor is gone.
func awaitOrder() -> (order: UInt8, value: UInt8) {
  var buffer: (UInt8, UInt8) = (0, 0)
  let count = withUnsafeMutableBytes(of: &buffer) { bytes in
    retrying { call(NR_recvfrom.number, PLAN_FD_CONTROL.number, address(bytes.baseAddress), bytes.count) }
  }
  if count <= 0 { exit(125) }
  return buffer
}

/// Waits for exactly this order; another one is a supervisor of another mind, and no reason to go on.
func awaitOrder(_ order: init_order) {
  if UInt32(awaitOrder().order) != order.rawValue { exit(125) }
}
