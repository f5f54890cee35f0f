import Linux

/// Places where a test can make a step fail, or stop the supervisor to have somebody killed just there.
///
/// Debug builds alone know them: in others every function here is empty, and neither the names nor the variable are in the
/// binary. `BOTBURROW_FAULTS` holds lines of `EFFECT[@N] NAME`, or the path of a file with them, which is looked at anew at
/// every step. EFFECT is an errno's name or number, `stop` (SIGSTOP to the supervisor), `kill` (SIGKILL to it) or `tell`
/// (NAME goes to standard error). NAME is a step's, an operation's as errors and golden tests show it, or `*` for every
/// one. With `@N` only the N-th time counts.
enum Faults {
  /// A step of the supervisor, by a name of `FaultPoint`.
  @inline(__always) static func point(_ name: @autoclosure () -> String) throws(LinuxError) {
    #if DEBUG
      assert(FaultPoint(rawValue: name()) != nil, "'\(name())' is not among the fault points")
      try FaultState.shared.pass(name())
    #endif
  }

  /// An operation of a profile's root.
  @inline(__always) static func point(_ operation: RootOperation) throws(LinuxError) {
    #if DEBUG
      try FaultState.shared.pass(operation.description, kind: operation.kind)
    #endif
  }

  /// The encoded plan, with a mark at each operation that botburrow-init shall not carry out.
  @inline(__always) static func marked(_ plan: [UInt8], _ operations: [InsideOperation]) -> [UInt8] {
    #if DEBUG
      FaultState.shared.marked(plan, operations)
    #else
      plan
    #endif
  }

  /// The mark of a launch request.
  @inline(__always) static var launchMark: UInt32 {
    #if DEBUG
      FaultState.shared.launchMark
    #else
      0
    #endif
  }

  /// Takes a report for itself where launcher or PID 1 says that it stands at a mark.
  @inline(__always) static func takes(_ reportKind: UInt32, _ control: PacketSocket) -> Bool {
    #if DEBUG
      FaultState.shared.takes(reportKind, control)
    #else
      false
    #endif
  }
}
