import CLinux
import CSeccomp
import Glibc

/// A seccomp policy as values; `compile` makes the kernel's program of it with libseccomp.
public struct SeccompPolicy: Sendable, Hashable {
  /// Condition on one argument: only these values of its low 32 bits (the kernel reads `int` arguments so; a filter that
  /// compared 64 would let `socket(0x100000001)` pass or fail for the wrong reason).
  public struct Condition: Sendable, Hashable {
    /// 0…5
    public var argument: UInt32
    /// What its low 32 bits must be like.
    public var test: Test
    /// Whether the high 32 bits must be 0: for pointers and `long`s.
    public var isWide: Bool
    /// A test of 32 bits.
    public enum Test: Sendable, Hashable {
      case oneOf([UInt32])
      case noneOf([UInt32])
      /// No bit of the mask is set.
      case clear(UInt32)
    }
    /// One condition.
    public init(argument: UInt32, _ test: Test, isWide: Bool = false) {
      self.argument = argument
      self.test = test
      self.isWide = isWide
    }
  }
  /// Names of system calls that are allowed whatever their arguments.
  public var allowed: Set<String>
  /// Names that are allowed on a condition.
  public var conditional: [String: Condition]
  /// Known names that answer with another errno than the rest (clone3: ENOSYS, so that glibc falls back to clone).
  public var errnos: [String: Int32]
  /// The errno of known calls that are forbidden, and of every call of a foreign architecture.
  public var denied: Int32
  /// The errno of calls that libseccomp doesn't know: newer than it, or none at all.
  public var unknown: Int32
  /// Rules of a Docker or OCI file, in place of `allowed`, `conditional` and `errnos`; nil for a policy of our own form.
  public var oci: OCISeccomp?

  /// Everything that is not named is denied.
  public init(
    allowed: Set<String>, conditional: [String: Condition] = [:], errnos: [String: Int32] = [:], denied: Int32 = EPERM,
    unknown: Int32 = ENOSYS
  ) {
    self.allowed = allowed
    self.conditional = conditional
    self.errnos = errnos
    self.denied = denied
    self.unknown = unknown
  }
}

/// What a policy can't be compiled for.
public struct SeccompError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Which call of libseccomp failed, on what, and why.
  public let description: String
}

extension SeccompPolicy {
  /// The policy without these calls: they are denied whatever it said of them.
  public func denying(_ names: Set<String>) -> SeccompPolicy {
    var policy = self
    policy.allowed.subtract(names)
    for name in names { policy.conditional[name] = nil }
    policy.oci?.refused.formUnion(names)
    return policy
  }
}

/// A value and the mask of the bits that must equal it: libseccomp's only comparison that can look at 32 bits of 64.
struct MaskedValue: Hashable {
  var mask: UInt32
  var value: UInt32
}

extension SeccompPolicy.Condition.Test {
  /// Disjoint patterns that together match exactly the arguments that pass (`passing`), or exactly those that don't.
  func patterns(passing: Bool) -> [MaskedValue] {
    switch self {
    case .oneOf(let values):
      passing ? values.map { MaskedValue(mask: .max, value: $0) } : complement(of: Set(values))
    case .noneOf(let values):
      passing ? complement(of: Set(values)) : values.map { MaskedValue(mask: .max, value: $0) }
    case .clear(let mask):
      passing ? [MaskedValue(mask: mask, value: 0)] : lowestSetBit(of: mask)
    }
  }
}

/// The whole 32-bit space less `values`, as patterns on prefixes of bits: at each branch of the tree of values, the side
/// that holds none of them.
private func complement(of values: Set<UInt32>) -> [MaskedValue] {
  var patterns: [MaskedValue] = []
  func descend(bit: Int, prefix: UInt32, mask: UInt32, values: Set<UInt32>) {
    if values.isEmpty {
      patterns.append(MaskedValue(mask: mask, value: prefix))
    } else if bit >= 0 {
      let flag = UInt32(1) << UInt32(bit)
      for side in [0, flag] {
        descend(bit: bit - 1, prefix: prefix | side, mask: mask | flag, values: values.filter { $0 & flag == side })
      }
    }
  }
  descend(bit: 31, prefix: 0, mask: 0, values: values)
  return patterns
}

/// "Some bit of the mask is set", split by which is the lowest, so that no two patterns overlap.
private func lowestSetBit(of mask: UInt32) -> [MaskedValue] {
  var patterns: [MaskedValue] = []
  var below: UInt32 = 0
  for bit in 0..<32 where mask & (1 << bit) != 0 {
    let flag = UInt32(1) << bit
    patterns.append(MaskedValue(mask: below | flag, value: flag))
    below |= flag
  }
  return patterns
}

extension SeccompPolicy {
  /// Number of a system call here; nil where this architecture or libseccomp doesn't know it.
  public static func number(of name: String) -> Int32? {
    let number = seccomp_syscall_resolve_name(name)
    return number >= 0 ? number : nil
  }

  /// The system calls that libseccomp knows on this architecture, by name.
  public static let known: [String: Int32] = {
    var names: [String: Int32] = [:]
    for number in Int32(0)..<600 {
      guard let text = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else { continue }
      names[String(cString: text)] = number
      free(text)
    }
    return names
  }()

  /// The kernel's program (an array of `struct sock_filter`): allowed calls pass; known ones that are not answer `denied`
  /// or their own errno; unknown and newer ones `unknown`, so that programs fall back; calls of a foreign architecture
  /// answer `denied`.
  public func compile() throws(SeccompError) -> [UInt8] { SeccompDispatch.compact(try written()) }

  /// As libseccomp writes it.
  func written() throws(SeccompError) -> [UInt8] {
    if let oci { return try oci.compile(denied: denied, unknown: unknown) }
    // What no rule names is denied: so neither denied calls nor arguments that don't pass need rules, and the program that
    // the kernel has to translate for every sandbox is half as long.
    let context = try SeccompContext.make(
      defaultAction: seccomp_act_errno(denied), foreign: seccomp_act_errno(denied))
    try context.optimize()
    let allow = seccomp_act_allow()
    for (name, number) in Self.known.sorted(by: { $0.value < $1.value }) {
      let own = errnos[name].flatMap { $0 == denied ? nil : seccomp_act_errno($0) }
      if allowed.contains(name), name == "setrlimit" || name == "prlimit64" {
        try keepCoreLimit(number, name, context)
      } else if allowed.contains(name) {
        try context.add(allow, number, name)
      } else if let condition = conditional[name] {
        for comparison in condition.comparisons(passing: true) { try context.add(allow, number, name, [comparison]) }
        guard let own else { continue }
        for comparison in condition.comparisons(passing: false) { try context.add(own, number, name, [comparison]) }
      } else if let own {
        try context.add(own, number, name)
      }
    }
    return Self.answering(seccomp_act_errno(unknown), beyond: Set(Self.known.values)) + (try context.export())
  }

  /// Instructions before libseccomp's: numbers of this architecture that are not among `known` get this answer. libseccomp
  /// has rules for single calls only; what it doesn't know comes in ranges.
  private static func answering(_ action: UInt32, beyond known: Set<Int32>) -> [UInt8] {
    let end: UInt32 = 0x4000_0000  // From here on calls are x32's, which libseccomp tells by its own check.
    let bounds = [-1] + known.sorted().map { Int64($0) } + [Int64(end)]
    let gaps = zip(bounds, bounds.dropFirst()).filter { $1 - $0 > 1 }.map {
      (first: UInt32($0 + 1), last: UInt32($1 - 1))
    }
    let length = 4 + 3 * gaps.count
    // BPF of linux/bpf_common.h: LD|W|ABS, JMP|JEQ, JMP|JGE, JMP|JGT, RET, each with a constant (seccomp(2)).
    var program: [sock_filter] = [
      sock_filter(code: 0x20, jt: 0, jf: 0, k: 4 /* offset of arch */),
      sock_filter(code: 0x15, jt: 0, jf: UInt8(length - 2), k: seccomp_arch_native()),
      sock_filter(code: 0x20, jt: 0, jf: 0, k: 0 /* offset of nr */),
      sock_filter(code: 0x35, jt: UInt8(length - 4), jf: 0, k: end),
    ]
    for gap in gaps {
      program += [
        sock_filter(code: 0x35, jt: 0, jf: 2, k: gap.first), sock_filter(code: 0x25, jt: 1, jf: 0, k: gap.last),
        sock_filter(code: 0x06, jt: 0, jf: 0, k: action),
      ]
    }
    return program.withUnsafeBytes { Array($0) }
  }

  /// Setting RLIMIT_CORE is answered 0 and not done. Whoever lowers it to 0, as careful programs do against core dumps,
  /// would let the host's crash handler in, which 1 keeps out (core(5)); an error would make some of them give up.
  private func keepCoreLimit(_ number: Int32, _ name: String, _ context: borrowing SeccompContext) throws(SeccompError)
  {
    let resource: UInt32 = name == "setrlimit" ? 0 : 1
    let others = Condition(argument: resource, .noneOf([4 /* RLIMIT_CORE */]))
    let (allow, ignore) = (seccomp_act_allow(), seccomp_act_errno(0))
    for comparison in others.comparisons(passing: true) { try context.add(allow, number, name, [comparison]) }
    for comparison in others.comparisons(passing: false) {
      if name == "setrlimit" {
        try context.add(ignore, number, name, [comparison])
      } else {
        // prlimit(pid, resource, new, old): without a new limit it only reads.
        try context.add(allow, number, name, [comparison, seccomp_null(2)])
        try context.add(ignore, number, name, [comparison, seccomp_not_null(2)])
      }
    }
  }
}

extension SeccompPolicy.Condition {
  /// libseccomp's comparisons, of which exactly one holds where the condition does (or where it doesn't).
  fileprivate func comparisons(passing: Bool) -> [scmp_arg_cmp] {
    let high: UInt64 = isWide ? 0xffff_ffff_0000_0000 : 0
    let low = test.patterns(passing: passing).map {
      seccomp_masked_equal(argument, high | UInt64($0.mask), UInt64($0.value))
    }
    return low
      + (isWide && !passing ? [scmp_arg_cmp(arg: argument, op: SCMP_CMP_GE, datum_a: 1 << 32, datum_b: 0)] : [])
  }
}

/// A filter that libseccomp is building.
struct SeccompContext: ~Copyable {
  private let context: scmp_filter_ctx
  private let defaultAction: UInt32

  /// A filter without rules, for the native architecture.
  static func make(defaultAction: UInt32, foreign: UInt32) throws(SeccompError) -> SeccompContext {
    guard let context = seccomp_init(defaultAction) else { throw SeccompError(description: "seccomp_init failed") }
    let made = SeccompContext(context: context, defaultAction: defaultAction)
    try made.must(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, foreign), "seccomp_attr_set ACT_BADARCH")
    return made
  }
  private init(context: scmp_filter_ctx, defaultAction: UInt32) {
    self.context = context
    self.defaultAction = defaultAction
  }
  deinit { seccomp_release(context) }

  /// A binary tree of numbers in place of a list.
  func optimize() throws(SeccompError) {
    try must(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set CTL_OPTIMIZE")
  }

  /// A rule, of which all comparisons must hold. One with the default action is refused by libseccomp, and not needed.
  func add(
    _ action: UInt32, _ number: Int32, _ name: String, _ comparisons: [scmp_arg_cmp] = []
  ) throws(SeccompError) {
    if action == defaultAction { return }
    try must(seccomp_rule_add_array(context, action, number, UInt32(comparisons.count), comparisons), name)
  }

  private func must(_ result: Int32, _ object: String) throws(SeccompError) {
    if result < 0 { throw SeccompError(description: "libseccomp: \(object): \(errorName(-result))") }
  }

  /// The kernel's program. libseccomp 2.5 exports to a descriptor only.
  func export() throws(SeccompError) -> [UInt8] {
    let number = cl_memfd_create("seccomp")
    if number < 0 { throw SeccompError(description: "memfd_create seccomp: \(errorName(errno))") }
    let file = Descriptor(owning: number)
    try must(seccomp_export_bpf(context, file.number), "seccomp_export_bpf")
    lseek(file.number, 0, SEEK_SET)
    do throws(LinuxError) {
      return try file.readAll(limit: 1 << 20)
    } catch {
      throw SeccompError(description: error.description)
    }
  }
}

extension SeccompPolicy {
  /// Whether libseccomp knows the name, on this architecture or another (then its number is a negative stand-in).
  public static func isKnownAnywhere(_ name: String) -> Bool { seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR }
}
