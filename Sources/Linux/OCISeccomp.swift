import CLinux
import CSeccomp
import Glibc

/// A seccomp profile in the form of Docker and OCI, with runc's meaning, for this host: rules that are for other
/// architectures, kernels or capabilities are out already.
public struct OCISeccomp: Sendable, Hashable {
  /// What happens to a call.
  public enum Action: Sendable, Hashable {
    case allow
    case errno(Int32)
    /// It passes, and the kernel's audit log hears of it.
    case log
    case killThread
    case killProcess
    /// SIGSYS, which the program can catch.
    case trap
  }
  /// How an argument is compared: all 64 bits of it, unsigned, as libseccomp does. A profile that means an `int` has to
  /// use `maskedEqual` (what Docker's own files don't do for `personality`).
  public struct Comparison: Sendable, Hashable {
    /// Which comparison.
    public enum Operator: String, Sendable, Hashable, CaseIterable {
      case notEqual = "SCMP_CMP_NE"
      case less = "SCMP_CMP_LT"
      case lessOrEqual = "SCMP_CMP_LE"
      case equal = "SCMP_CMP_EQ"
      case greaterOrEqual = "SCMP_CMP_GE"
      case greater = "SCMP_CMP_GT"
      /// The bits of `value` that the argument has are those of `second`.
      case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }
    /// 0…5
    public var argument: UInt32
    /// Which comparison.
    public var comparison: Operator
    /// What it is compared with; the mask of `maskedEqual`.
    public var value: UInt64
    /// What the masked bits must be.
    public var second: UInt64
    /// One comparison.
    public init(argument: UInt32, _ comparison: Operator, _ value: UInt64, _ second: UInt64 = 0) {
      self.argument = argument
      self.comparison = comparison
      self.value = value
      self.second = second
    }
  }
  /// An action for some calls.
  public struct Rule: Sendable, Hashable {
    /// Names that don't exist here are no error, as for runc.
    public var names: [String]
    /// What happens to them.
    public var action: Action
    /// All must hold; but where two are about one argument, each is a rule of its own (runc: one of them must hold).
    public var comparisons: [Comparison]
    /// A rule of its parts.
    public init(names: [String], action: Action, comparisons: [Comparison] = []) {
      self.names = names
      self.action = action
      self.comparisons = comparisons
    }
  }
  /// What happens to calls without a rule.
  public var defaultAction: Action
  /// In the file's order.
  public var rules: [Rule]
  /// Names that are denied whatever the rules say.
  public var refused: Set<String> = []
  /// The file that says so, for people.
  public var file = ""

  /// A profile of its parts.
  public init(defaultAction: Action, rules: [Rule], refused: Set<String> = []) {
    self.defaultAction = defaultAction
    self.rules = rules
    self.refused = refused
  }

  /// Denied in every sandbox, whatever a file says: calls that act on more than the caller's own files and processes, or
  /// that no other filter sees through (io_uring does what its own rings say).
  public static let neverAllowed: Set = [
    "add_key", "bpf", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "perf_event_open", "ptrace",
    "process_vm_readv", "process_vm_writev", "request_key", "userfaultfd",
  ]
}

extension OCISeccomp {
  /// The kernel's program: our own floor, then what libseccomp makes of the rules.
  /// - Parameters:
  ///   - denied: the errno of what the floor denies, and of foreign architectures.
  ///   - unknown: the errno of calls newer than the newest that the rules name, unless the default action lets calls
  ///     pass (runc, since 1.0.0-rc93).
  ///   - withFloor: false leaves the floor out, to compare what files say.
  public func compile(denied: Int32, unknown: Int32, withFloor: Bool = true) throws(SeccompError) -> [UInt8] {
    let context = try SeccompContext.make(defaultAction: defaultAction.code, foreign: seccomp_act_errno(denied))
    let known = rules.flatMap(\.names).compactMap { SeccompPolicy.number(of: $0) }
    // Without rules the optimised form of libseccomp up to 2.5.4 is wrong.
    let effective = rules.filter { $0.action != defaultAction }
    if effective.contains(where: { $0.names.contains { SeccompPolicy.number(of: $0) != nil } }) {
      try context.optimize()
    }
    for rule in effective {
      for name in rule.names {
        guard let number = SeccompPolicy.number(of: name) else { continue }
        for comparisons in rule.alternatives {
          try context.add(rule.action.code, number, name, comparisons.map(\.compiled))
        }
      }
    }
    var floor = FilterFloor()
    if withFloor { addFloor(&floor, denied) }
    if !defaultAction.passes, let newest = known.max() { floor.answerNewer(than: newest, errno: unknown) }
    return floor.bytes + (try context.export())
  }

  private func addFloor(_ floor: inout FilterFloor, _ denied: Int32) {
    let refused = Self.neverAllowed.union(refused).compactMap { SeccompPolicy.number(of: $0) }
    floor.answer(refused.sorted(), errno: denied)
    if let socket = SeccompPolicy.number(of: "socket") {
      // AF_ALG and AF_VSOCK: the kernel's crypto for user space, and the hypervisor's sockets.
      floor.answer(socket, argument: 0, oneOf: [38, 40], errno: denied)
    }
    if let ioctl = SeccompPolicy.number(of: "ioctl") {
      // TIOCSTI and TIOCLINUX type into terminals.
      floor.answer(ioctl, argument: 1, oneOf: [0x5412, 0x541c], errno: denied)
    }
    if let set = SeccompPolicy.number(of: "setrlimit"), let both = SeccompPolicy.number(of: "prlimit64") {
      floor.keepCoreLimit(setrlimit: set, prlimit: both)
    }
  }
}

extension OCISeccomp.Action {
  fileprivate var code: UInt32 {
    switch self {
    case .allow: seccomp_act_allow()
    case .errno(let number): seccomp_act_errno(number)
    // Without a payload they are plain numbers (seccomp.h).
    case .log: 0x7ffc_0000
    case .killThread: 0
    case .killProcess: 0x8000_0000
    case .trap: 0x0003_0000
    }
  }
  fileprivate var passes: Bool { self == .allow || self == .log }
}

extension OCISeccomp.Comparison {
  fileprivate var compiled: scmp_arg_cmp {
    let code =
      switch comparison {
      case .notEqual: SCMP_CMP_NE
      case .less: SCMP_CMP_LT
      case .lessOrEqual: SCMP_CMP_LE
      case .equal: SCMP_CMP_EQ
      case .greaterOrEqual: SCMP_CMP_GE
      case .greater: SCMP_CMP_GT
      case .maskedEqual: SCMP_CMP_MASKED_EQ
      }
    return scmp_arg_cmp(arg: argument, op: code, datum_a: value, datum_b: second)
  }
}

extension OCISeccomp.Rule {
  /// The rule as lists of comparisons of which one must hold whole.
  fileprivate var alternatives: [[OCISeccomp.Comparison]] {
    Set(comparisons.map(\.argument)).count == comparisons.count ? [comparisons] : comparisons.map { [$0] }
  }
}

/// The instructions before libseccomp's, in classic BPF: each either answers or goes on to the next.
///
/// They don't look at the architecture: what they deny of a foreign one is denied there anyway.
struct FilterFloor {
  private(set) var bytes: [UInt8] = []
  private static let (load, jumpEqual, jumpGreater, answer): (UInt16, UInt16, UInt16, UInt16) = (0x20, 0x15, 0x25, 0x06)
  private static let number: UInt32 = 0
  private static func low(_ argument: UInt32) -> UInt32 { 16 + 8 * argument }

  init() { emit(Self.load, Self.number) }

  private mutating func emit(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
    withUnsafeBytes(of: code) { bytes += $0 }
    bytes += [ifTrue, ifFalse]
    withUnsafeBytes(of: operand) { bytes += $0 }
  }

  /// These numbers, whatever their arguments.
  mutating func answer(_ numbers: [Int32], errno: Int32) {
    for number in numbers {
      emit(Self.jumpEqual, UInt32(number), ifFalse: 1)
      emit(Self.answer, seccomp_act_errno(errno))
    }
  }

  /// This number, where the low half of an argument is one of these.
  mutating func answer(_ number: Int32, argument: UInt32, oneOf values: [UInt32], errno: Int32) {
    emit(Self.jumpEqual, UInt32(number), ifFalse: UInt8(2 * values.count + 2))
    emit(Self.load, Self.low(argument))
    for value in values {
      emit(Self.jumpEqual, value, ifFalse: 1)
      emit(Self.answer, seccomp_act_errno(errno))
    }
    emit(Self.load, Self.number)
  }

  /// As `SeccompPolicy` does it: setting RLIMIT_CORE is answered 0 and not done.
  mutating func keepCoreLimit(setrlimit: Int32, prlimit: Int32) {
    answer(setrlimit, argument: 0, oneOf: [4], errno: 0)
    // prlimit(pid, resource, new, old): where a new limit is given, either half of whose address isn't 0.
    emit(Self.jumpEqual, UInt32(prlimit), ifFalse: 8)
    emit(Self.load, Self.low(1))
    emit(Self.jumpEqual, 4, ifFalse: 5)
    emit(Self.load, Self.low(2))
    emit(Self.jumpEqual, 0, ifFalse: 2)
    emit(Self.load, Self.low(2) + 4)
    emit(Self.jumpEqual, 0, ifTrue: 1)
    emit(Self.answer, seccomp_act_errno(0))
    emit(Self.load, Self.number)
  }

  /// Numbers above the newest; those of x32, which have bit 30, are left to libseccomp.
  mutating func answerNewer(than newest: Int32, errno: Int32) {
    emit(Self.jumpGreater, 0x3fff_ffff, ifTrue: 2)
    emit(Self.jumpGreater, UInt32(newest), ifFalse: 1)
    emit(Self.answer, seccomp_act_errno(errno))
  }
}
