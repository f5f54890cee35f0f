import Glibc
import TestSupport
import Testing

@testable import Linux

private typealias ArgumentTest = SeccompPolicy.Condition.Test

/// What a condition means, in one line each: the thing that patterns and program are compared with.
private func holds(_ test: ArgumentTest, _ value: UInt32) -> Bool {
  switch test {
  case .oneOf(let values): values.contains(value)
  case .noneOf(let values): !values.contains(value)
  case .clear(let mask): value & mask == 0
  }
}

private let tests: [SeccompPolicy.Condition.Test] = [
  .oneOf([1, 2, 10]), .oneOf([0]), .oneOf([.max, 0, 0x8000_0000]), .oneOf([]), .noneOf([0x5412, 0x541c, 0x5423]),
  .noneOf([]), .noneOf([0, 1, 2, 3]), .clear(0x7e02_0000), .clear(1), .clear(.max), .clear(0),
]

/// Values at and around those that the test names, and many others.
private func samples(_ test: ArgumentTest, using generator: inout some RandomNumberGenerator) -> [UInt32] {
  var values: [UInt32] = [0, 1, .max, 0x7fff_ffff, 0x8000_0000]
  switch test {
  case .oneOf(let named), .noneOf(let named):
    for value in named { values += [value, value &+ 1, value &- 1, value ^ 0x8000_0000] }
  case .clear(let mask):
    values += [mask, ~mask] + (0..<32).map { 1 << $0 }
  }
  for _ in 0..<2000 { values.append(.random(in: 0 ... .max, using: &generator)) }
  return values
}

@Suite("Seccomp policy") struct SeccompTests {
  @Test(arguments: tests)
  func `Exactly one pattern of one side matches each value`(test: SeccompPolicy.Condition.Test) {
    var generator = SystemRandomNumberGenerator()
    let (passing, failing) = (test.patterns(passing: true), test.patterns(passing: false))
    for value in samples(test, using: &generator) {
      let matches = { (patterns: [MaskedValue]) in patterns.filter { value & $0.mask == $0.value }.count }
      let expected = holds(test, value)
      #expect(matches(passing) == (expected ? 1 : 0), "\(test) passes \(value)")
      #expect(matches(failing) == (expected ? 0 : 1), "\(test) denies \(value)")
    }
  }

  private static let policy = SeccompPolicy(
    allowed: ["read", "write", "exit_group", "futex", "openat"],
    conditional: [
      "socket": .init(argument: 0, .oneOf([1, 2, 10])),
      "ioctl": .init(argument: 1, .noneOf([0x5412, 0x541c])),
      "clone": .init(argument: 0, .clear(0x7e02_0000)),
      "personality": .init(argument: 0, .oneOf([0, 8, 0xffff_ffff])),
    ],
    errnos: ["clone3": ENOSYS, "bpf": ENOSYS])

  /// The policy in its own words.
  private func expected(_ number: UInt32, _ arguments: [UInt64]) -> SeccompAnswer {
    guard let name = SeccompPolicy.known.first(where: { $0.value == Int32(bitPattern: number) })?.key else {
      return .errno(ENOSYS)
    }
    if Self.policy.allowed.contains(name) { return .allow }
    if let condition = Self.policy.conditional[name],
      holds(condition.test, UInt32(truncatingIfNeeded: arguments[Int(condition.argument)]))
    {
      return .allow
    }
    return .errno(Self.policy.errnos[name] ?? EPERM)
  }

  @Test func `The compiled program does what the policy says for every number`() throws {
    let program = try SeccompProgram(Self.policy.compile())
    let values: [UInt64] = [0, 1, 2, 3, 8, 10, 0x5412, 0x541c, 0x0002_0000, 0x4000_0000, 0x7e02_0000, 0xffff_ffff]
    for number in UInt32(0)...600 {
      for low in values {
        // Bits above the 32 that the kernel reads of an int change nothing.
        for high in [0, 1, 0x8000_0000, 0xffff_ffff] as [UInt64] {
          let arguments = [UInt64](repeating: high << 32 | low, count: 6)
          let answer = try program.run(number: number, arguments: arguments)
          #expect(answer == expected(number, arguments), "syscall \(number) with \(String(arguments[0], radix: 16))")
        }
      }
    }
  }

  @Test func `Of limits, the one on core files can be read and not set`() throws {
    let program = try SeccompProgram(SeccompPolicy(allowed: ["setrlimit", "prlimit64"]).compile())
    let (set, both) = (
      UInt32(bitPattern: SeccompPolicy.known["setrlimit"] ?? -1),
      UInt32(bitPattern: SeccompPolicy.known["prlimit64"] ?? -1)
    )
    for resource in UInt64(0)..<16 {
      let answer: SeccompAnswer = resource == 4 ? .errno(0) : .allow
      #expect(try program.run(number: set, arguments: [resource, 4096, 0, 0, 0, 0]) == answer)
      // The kernel reads 32 bits of the resource and 64 of the pointer.
      #expect(try program.run(number: set, arguments: [1 << 32 | resource, 4096, 0, 0, 0, 0]) == answer)
      for pointer in [1, 4096, 1 << 32, 1 << 63] as [UInt64] {
        #expect(try program.run(number: both, arguments: [0, resource, pointer, 0, 0, 0]) == answer)
      }
      #expect(try program.run(number: both, arguments: [0, resource, 0, 4096, 0, 0]) == .allow)
    }
  }

  @Test func `Calls of another architecture are denied, allowed numbers included`() throws {
    let program = try SeccompProgram(Self.policy.compile())
    // AUDIT_ARCH_I386, _ARM, and one that nobody has.
    for architecture in [0x4000_0003, 0x4000_0028, 0xdead_beef] as [UInt32] {
      for number in UInt32(0)...600 {
        let answer = try program.run(number: number, arguments: [0, 0, 0, 0, 0, 0], architecture: architecture)
        #expect(answer == .errno(EPERM), "syscall \(number) of \(String(architecture, radix: 16))")
      }
    }
  }

  #if arch(x86_64)
    @Test func `The x32 numbers of x86-64 are denied`() throws {
      let program = try SeccompProgram(Self.policy.compile())
      for number in UInt32(0)...600 {
        #expect(try program.run(number: 0x4000_0000 | number, arguments: [0, 0, 0, 0, 0, 0]) == .errno(EPERM))
      }
    }
  #endif

  @Test func `Numbers and names`() {
    #expect(SeccompPolicy.number(of: "read") == SeccompPolicy.known["read"])
    #expect(SeccompPolicy.number(of: "nonsense") == nil)
    #expect(SeccompPolicy.isKnownAnywhere("arm_fadvise64_64"))
    #expect(!SeccompPolicy.isKnownAnywhere("nonsense"))
    #expect(SeccompPolicy.known.count > 300)
  }

  /// Values that the conditions of the shipped profiles and of this file name, and their neighbours.
  private static let words: [UInt64] = [
    0, 1, 2, 3, 4, 5, 8, 10, 16, 17, 0x5412, 0x541c, 0x0002_0000, 0x4000_0000, 0x7e02_0000, 0x8000_0000, 0xffff_ffff,
    1 << 32, 1 << 32 | 1, 1 << 63,
  ]

  @Test func `A compacted program says of every call what libseccomp's said`() throws {
    let (long, short) = (try Self.policy.written(), try Self.policy.compile())
    #expect(short.count < long.count, "\(short.count) bytes of \(long.count)")
    let (before, after) = (SeccompProgram(long), SeccompProgram(short))
    let strange: [UInt32] = [0x3fff_ffff, 0x4000_0000, 0x4000_0208, 0x7fff_ffff, 0x8000_0000, .max - 1, .max]
    for number in Array(UInt32(0)...1200) + strange {
      for place in 0..<6 {
        for word in Self.words {
          var arguments = [UInt64](repeating: 7, count: 6)
          arguments[place] = word
          #expect(
            try before.run(number: number, arguments: arguments) == after.run(number: number, arguments: arguments),
            "call \(number), argument \(place) \(word)")
        }
      }
      for foreign in [0, 0x4000_0003, 0xc000_00b7, .max] as [UInt32] {
        let arguments = [UInt64](repeating: 1, count: 6)
        #expect(
          try before.run(number: number, arguments: arguments, architecture: foreign)
            == after.run(number: number, arguments: arguments, architecture: foreign))
      }
    }
  }

  @Test func `A program of another form stays as it is`() {
    // LD|W|MEM has no meaning that depends on the number alone.
    let strange: [UInt8] = [0x60, 0, 0, 0, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]
    #expect(SeccompDispatch.compact(strange) == strange)
    #expect(SeccompDispatch.compact([]) == [])
  }
}
