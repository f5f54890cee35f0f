/// What a seccomp program answers.
public enum SeccompAnswer: Equatable, Sendable {
  case allow
  case errno(Int32)
  case trap
  case log
  case kill
  case other(UInt32)
}

/// Runs a compiled filter as the kernel would (the part of classic BPF that seccomp(2) allows and libseccomp uses).
public struct SeccompProgram: Sendable {
  /// What no kernel would take.
  public struct Malformed: Error { var offset: Int, code: UInt16 }
  private struct Instruction { var code: UInt16, ifTrue: UInt8, ifFalse: UInt8, operand: UInt32 }
  private let instructions: [Instruction]

  /// Takes a program as `SeccompPolicy.compile` gives it.
  public init(_ bytes: [UInt8]) {
    instructions = stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].withUnsafeBytes { raw in
        Instruction(
          code: raw.loadUnaligned(as: UInt16.self), ifTrue: raw[2], ifFalse: raw[3],
          operand: raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
      }
    }
  }

  #if arch(x86_64)
    /// AUDIT_ARCH_* of this machine.
    public static let native: UInt32 = 0xc000_003e
  #else
    /// AUDIT_ARCH_* of this machine.
    public static let native: UInt32 = 0xc000_00b7
  #endif

  /// The answer to one call.
  public func run(number: UInt32, arguments: [UInt64], architecture: UInt32 = native) throws -> SeccompAnswer {
    // struct seccomp_data: number, architecture, instruction pointer, six arguments; little-endian words.
    var words: [UInt32] = [number, architecture, 0, 0]
    for argument in arguments { words += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)] }
    var accumulator: UInt32 = 0
    var counter = 0
    while counter < instructions.count {
      let at = instructions[counter]
      counter += 1
      let skip = { (taken: Bool) in Int(taken ? at.ifTrue : at.ifFalse) }
      switch at.code {
      case 0x20 where at.operand % 4 == 0 && at.operand / 4 < 16: accumulator = words[Int(at.operand / 4)]
      case 0x05: counter += Int(at.operand)
      case 0x15: counter += skip(accumulator == at.operand)
      case 0x25: counter += skip(accumulator > at.operand)
      case 0x35: counter += skip(accumulator >= at.operand)
      case 0x45: counter += skip(accumulator & at.operand != 0)
      case 0x54: accumulator &= at.operand
      case 0x06:
        switch at.operand & 0xffff_0000 {
        case 0x7fff_0000: return .allow
        case 0x0005_0000: return .errno(Int32(at.operand & 0xffff))
        case 0x0003_0000: return .trap
        case 0x7ffc_0000: return .log
        case 0, 0x8000_0000: return .kill
        default: return .other(at.operand)
        }
      default: throw Malformed(offset: counter - 1, code: at.code)
      }
    }
    throw Malformed(offset: counter, code: 0)
  }
}
