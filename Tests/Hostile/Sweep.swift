import Linux
import Sandbox

/// Many system calls, each with what a profile's filter must say to it, word for word: the profile is compiled a second
/// time with errnos that no kernel gives, so that the filter's word can't be mistaken for the kernel's.
struct Sweep: Sendable {
  /// One call.
  struct Call: Sendable, Hashable {
    enum Way: String, Sendable { case native = "n", interrupt = "i" }
    var way = Way.native
    var number: UInt64
    var arguments: [UInt64]

    /// As the probe program reads it.
    var line: String {
      "\(way.rawValue) \(number) " + arguments.map { String($0, radix: 16) }.joined(separator: " ") + "\n"
    }
  }
  var calls: [Call]
  var expected: [SeccompPolicy.Verdict]

  /// The errnos of the second compilation.
  static let denied: Int32 = 3001
  static let unknown: Int32 = 3002
  static let named: Int32 = 3003

  /// The profile that a sweep of a profile runs under.
  static func profile(_ profile: Profile) -> (name: String, text: String) {
    let errnos = profile.syscalls.errnos.keys.sorted().map { "\($0): \(named)" }.joined(separator: ", ")
    return (
      "hostile-\(profile.name)",
      """
      extends: \(profile.name)
      description: \(profile.name) with errnos that are the filter's alone
      syscalls: { denied: \(denied), unknown: \(unknown)\(errnos.isEmpty ? "" : ", errno: { \(errnos) }") }

      """
    )
  }

  var input: [UInt8] { calls.flatMap { Array($0.line.utf8) } }

  /// What the lines of an answer say inside: that all is as expected, or the first that is not.
  func judge(_ answer: String) -> String {
    let lines = answer.split(separator: "\n")
    if lines.count != calls.count {
      return "\(lines.count) answers to \(calls.count) calls; the last: \(lines.last ?? "")"
    }
    var wrong: [String] = []
    for (index, line) in lines.enumerated() where !matches(String(line), expected[index]) {
      wrong.append("\(name(calls[index])) should be \(expected[index]) but heard \(line)")
    }
    return wrong.isEmpty ? Self.agreed : "\(wrong.count) wrong: " + wrong.prefix(5).joined(separator: "; ")
  }

  static let agreed = "as its profile says"
  static let silent = "no filter"
  static let absent = "no call returned"

  /// What they say where no filter is.
  func judgeOutside(_ answer: String) -> String {
    let lines = answer.split(separator: "\n")
    if lines.count != calls.count { return "\(lines.count) answers to \(calls.count) calls" }
    if lines.allSatisfy({ $0 == "ended" }) { return Self.absent }
    return lines.contains { ["\(Self.denied)", "\(Self.unknown)", "\(Self.named)"].contains($0) }
      ? "a filter" : Self.silent
  }

  private func matches(_ answer: String, _ verdict: SeccompPolicy.Verdict) -> Bool {
    switch verdict {
    case .denied: answer == "\(Self.denied)"
    case .unknown: answer == "\(Self.unknown)"
    case .named: answer == "\(Self.named)"
    // Ended by SIGILL, or ENXIO; older kernels ask the filter.
    case .exempt: ["ended", "6", "\(Self.unknown)"].contains(answer)
    // The kernel would have refused the pointer.
    case .ignored: answer == "0"
    case .through: !["\(Self.denied)", "\(Self.unknown)", "\(Self.named)"].contains(answer)
    }
  }

  private func name(_ call: Call) -> String {
    let known = Self.names[call.number].map { "\($0) (\(call.number))" } ?? "\(call.number)"
    return known + " of " + call.arguments.map { "0x" + String($0, radix: 16) }.joined(separator: ",")
  }

  static let names: [UInt64: String] = Dictionary(
    SeccompPolicy.known.map { (UInt64($0.value), $0.key) }, uniquingKeysWith: { first, _ in first })
}

extension Probe {
  /// One probe for all numbers, one for each other way in, and one for each argument that the profile's filter looks at.
  static func sweeps(_ profile: Profile) -> [Probe] {
    if profile.syscalls.oci != nil { return [] }
    let numbers = (UInt64(0)...600).map { Sweep.Call(number: $0, arguments: idle) }
    var probes = [sweep("every number from 0 to 600", profile, numbers)]
    #if arch(x86_64)
      // Bit 30 names the x32 numbering; both ways in belong to a foreign architecture, of which nothing passes.
      let foreign: [(String, [Sweep.Call])] = [
        ("every number of x32", numbers.map { Sweep.Call(number: $0.number | 1 << 30, arguments: idle) }),
        ("every number of i386", numbers.map { Sweep.Call(way: .interrupt, number: $0.number, arguments: idle) }),
      ]
      for (name, calls) in foreign {
        probes.append(probe(name, Sweep(calls: calls, expected: calls.map { _ in .denied })))
      }
    #endif
    for (name, condition) in profile.syscalls.conditional.sorted(by: { $0.key < $1.key }) {
      guard let number = SeccompPolicy.number(of: name) else { continue }
      let calls = arguments(condition, of: name).map { Sweep.Call(number: UInt64(number), arguments: $0) }
      probes.append(sweep("arguments of \(name)", profile, calls))
    }
    for (name, place) in [("setrlimit", 0), ("prlimit64", 1)] where profile.syscalls.allowed.contains(name) {
      guard let number = SeccompPolicy.number(of: name) else { continue }
      let calls = widened([0, 4, 5, 15]).map { value in
        Sweep.Call(number: UInt64(number), arguments: idle.enumerated().map { $0 == place ? value : $1 })
      }
      probes.append(sweep("arguments of \(name)", profile, calls))
    }
    return probes
  }

  private static func sweep(_ name: String, _ profile: Profile, _ calls: [Sweep.Call]) -> Probe {
    probe(
      name,
      Sweep(
        calls: calls,
        expected: calls.map { profile.syscalls.verdict(Sweep.names[$0.number], number: $0.number, $0.arguments) }))
  }

  private static func probe(_ name: String, _ sweep: Sweep) -> Probe {
    Probe(
      category: .calls, name: name, act: ["calls"], inside: [Sweep.agreed],
      // Nobody's, in namespaces that are thrown away: what gets to the kernel there finds nothing to break.
      control: Control(
        script: """
          exec unshare --net --ipc --uts --mount --pid --fork \
          setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all "$@"
          """, outside: [Sweep.silent], unavailable: [Sweep.absent: "this kernel has no such way in"]),
      // Hundreds of processes, some of which wait for a second.
      witness: .sweep(sweep), limits: .init(timeoutSeconds: 60), input: sweep.input)
  }

  /// Arguments with which a call that comes through does nothing.
  private static let idle = [UInt64](repeating: .max, count: 6)

  /// Values on both sides of a condition, each also with bits above the 32 that the kernel reads.
  private static func arguments(_ condition: SeccompPolicy.Condition, of name: String) -> [[UInt64]] {
    let values: [UInt32] =
      switch condition.test {
      case .oneOf(let values), .noneOf(let values):
        values.flatMap { [$0, $0 &+ 1, $0 &- 1, $0 ^ 1 << 31] } + [0, .max]
      case .clear(let mask): [0, 0x11, ~mask] + (0..<32).map { 1 << $0 }.filter { mask & $0 != 0 } + [mask]
      }
    // A clone that comes through has no stack and no places to write to: a fork.
    let others = name == "clone" ? [UInt64](repeating: 0, count: 6) : idle
    let harmless = name == "clone" ? values.filter { $0 & ~0x11 == 0 || !passes($0, condition) } : values
    return widened(Set(harmless).sorted()).map { value in
      others.enumerated().map { $0 == Int(condition.argument) ? value : $1 }
    }
  }

  private static func passes(_ value: UInt32, _ condition: SeccompPolicy.Condition) -> Bool {
    if case .clear(let mask) = condition.test { return value & mask == 0 }
    return false
  }

  private static func widened(_ values: [UInt32]) -> [UInt64] {
    values.flatMap { value in
      [0, 1, 0x8000_0000, 0xffff_ffff].map { (high: UInt64) in high << 32 | UInt64(value) }
    }
  }
}
