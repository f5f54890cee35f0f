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
    /// A test of 32 bits.
    public enum Test: Sendable, Hashable {
      case oneOf([UInt32])
      case noneOf([UInt32])
      /// No bit of the mask is set.
      case clear(UInt32)
    }
    /// One condition.
    public init(argument: UInt32, _ test: Test) {
      self.argument = argument
      self.test = test
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
  public func compile() throws(SeccompError) -> [UInt8] {
    guard let context = seccomp_init(seccomp_act_errno(unknown)) else {
      throw SeccompError(description: "seccomp_init failed")
    }
    defer { seccomp_release(context) }
    try must(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set CTL_OPTIMIZE")
    try must(
      seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, seccomp_act_errno(denied)), "seccomp_attr_set ACT_BADARCH")
    let allow = seccomp_act_allow()
    for (name, number) in Self.known.sorted(by: { $0.value < $1.value }) {
      let denial = seccomp_act_errno(errnos[name] ?? denied)
      if allowed.contains(name), name == "setrlimit" || name == "prlimit64" {
        try keepCoreLimit(number, name, context)
      } else if allowed.contains(name) {
        try must(seccomp_rule_add_array(context, allow, number, 0, nil), name)
      } else if let condition = conditional[name] {
        try add(condition.patterns(true), allow, condition.argument, number, name, context)
        try add(condition.patterns(false), denial, condition.argument, number, name, context)
      } else if denial != seccomp_act_errno(unknown) {
        try must(seccomp_rule_add_array(context, denial, number, 0, nil), name)
      }
    }
    return try export(context)
  }

  /// A rule whose action is the default one is what libseccomp refuses, and nothing that is needed.
  private func add(
    _ patterns: [MaskedValue], _ action: UInt32, _ argument: UInt32, _ number: Int32, _ name: String,
    _ context: scmp_filter_ctx
  ) throws(SeccompError) {
    if action == seccomp_act_errno(unknown) { return }
    for pattern in patterns {
      var comparison = seccomp_masked_equal(argument, UInt64(pattern.mask), UInt64(pattern.value))
      try must(seccomp_rule_add_array(context, action, number, 1, &comparison), name)
    }
  }

  /// Setting RLIMIT_CORE is answered 0 and not done. Whoever lowers it to 0, as careful programs do against core dumps,
  /// would let the host's crash handler in, which 1 keeps out (core(5)); an error would make some of them give up.
  private func keepCoreLimit(
    _ number: Int32, _ name: String, _ context: scmp_filter_ctx
  ) throws(SeccompError) {
    let resource: UInt32 = name == "setrlimit" ? 0 : 1
    let others = Condition.Test.noneOf([4 /* RLIMIT_CORE */])
    let (allow, ignore) = (seccomp_act_allow(), seccomp_act_errno(0))
    try add(others.patterns(passing: true), allow, resource, number, name, context)
    if name == "setrlimit" { return try add(others.patterns(passing: false), ignore, resource, number, name, context) }
    // prlimit(pid, resource, new, old): without a new limit it only reads.
    let core = seccomp_masked_equal(resource, UInt64(UInt32.max), 4)
    for (new, action) in [(seccomp_null(2), allow), (seccomp_not_null(2), ignore)] {
      try must(seccomp_rule_add_array(context, action, number, 2, [core, new]), name)
    }
  }

  private func must(_ result: Int32, _ object: String) throws(SeccompError) {
    if result < 0 { throw SeccompError(description: "libseccomp: \(object): \(errorName(-result))") }
  }

  /// libseccomp 2.5 exports to a descriptor only.
  private func export(_ context: scmp_filter_ctx) throws(SeccompError) -> [UInt8] {
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

extension SeccompPolicy.Condition {
  fileprivate func patterns(_ passing: Bool) -> [MaskedValue] { test.patterns(passing: passing) }
}

extension SeccompPolicy {
  /// Whether libseccomp knows the name, on this architecture or another (then its number is a negative stand-in).
  public static func isKnownAnywhere(_ name: String) -> Bool { seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR }
}
