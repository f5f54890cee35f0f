import CLinux
import CSeccomp

/// Makes a filter shorter without changing what it says of any call. The kernel checks and translates the whole program
/// each time it is installed, once a sandbox. libseccomp writes two instructions for every single number, where most
/// numbers beside each other get the same answer, and three for every bit of an argument that must not be one of a few.
///
/// The program is followed for every value of one word (first the number, then the word of an argument that is looked at
/// next) as far as its way depends on that word alone. That gives a few ranges, each with an answer or with the place
/// where another word is looked at. The new program is a binary search over the ranges. What tests single bits is taken over
/// as it stands.
enum SeccompDispatch {
  /// What a program says once a word is known.
  fileprivate enum Outcome: Hashable {
    /// Whatever the other words are: SECCOMP_RET_….
    case answer(UInt32)
    /// Decided from this instruction on, which loads another word.
    case word(at: Int)
  }
  fileprivate struct Range {
    var first: UInt32
    var outcome: Outcome
  }

  /// The same filter in fewer instructions; the program itself where it has a form that isn't understood, or where
  /// nothing would be won.
  static func compact(_ bytes: [UInt8]) -> [UInt8] {
    let program = Program(bytes)
    guard let foreign = program.foreignAnswer,
      let ranges = program.ranges(
        of: Code.numberOffset, from: 0, known: [Code.architectureOffset: seccomp_arch_native()])
    else { return bytes }
    var assembler = Assembler(program: program)
    guard let start = assembler.search(ranges[...]) else { return bytes }
    assembler.prologue(start, foreign: foreign)
    let short = assembler.assembled
    return short.count < program.instructions.count ? short.withUnsafeBytes { Array($0) } : bytes
  }
}

/// Classic BPF as seccomp(2) takes it: class, size and mode of linux/bpf_common.h in one number.
private enum Code {
  static let load: UInt16 = 0x20  // LD|W|ABS
  static let and: UInt16 = 0x54  // ALU|AND|K
  static let jump: UInt16 = 0x05  // JMP|JA
  static let jumpEqual: UInt16 = 0x15
  static let jumpGreater: UInt16 = 0x25
  static let jumpGreaterOrEqual: UInt16 = 0x35
  static let answer: UInt16 = 0x06  // RET|K
  /// JMP with any comparison, JSET included.
  static func isConditional(_ code: UInt16) -> Bool { code & 0x07 == 0x05 && code != jump }
  // Offsets in struct seccomp_data.
  static let numberOffset: UInt32 = 0
  static let architectureOffset: UInt32 = 4
}

/// A program that can be asked what it does.
private struct Program {
  let instructions: [sock_filter]

  init(_ bytes: [UInt8]) { instructions = bytes.withUnsafeBytes { Array($0.bindMemory(to: sock_filter.self)) } }

  /// The one answer for calls of other architectures, whatever their number; nil where there isn't just one.
  var foreignAnswer: UInt32? {
    // Every architecture that the program could ask for, and one that it doesn't.
    let asked = Set(instructions.filter { $0.code == Code.jumpEqual }.map(\.k)).subtracting([seccomp_arch_native()])
    var answers: Set<UInt32> = []
    for architecture in asked.union([0]) {
      guard case .answer(let answer) = follow(from: 0, known: [Code.architectureOffset: architecture]) else {
        return nil
      }
      answers.insert(answer)
    }
    return answers.count == 1 ? answers.first : nil
  }

  /// Runs from a place as far as the known words decide; nil at an instruction that libseccomp doesn't write there.
  func follow(from start: Int, known: [UInt32: UInt32]) -> SeccompDispatch.Outcome? {
    var accumulator: UInt32?
    var load: Int?
    var place = start
    while instructions.indices.contains(place) {
      let instruction = instructions[place]
      place += 1
      switch instruction.code {
      case Code.load:
        load = place - 1
        accumulator = known[instruction.k]
      case Code.and: accumulator = instruction.k == 0 ? 0 : accumulator.map { $0 & instruction.k }
      case Code.jump: place += Int(instruction.k)
      case Code.jumpEqual, Code.jumpGreater, Code.jumpGreaterOrEqual:
        guard let load else { return nil }
        guard let accumulator else { return .word(at: load) }
        let holds =
          switch instruction.code {
          case Code.jumpEqual: accumulator == instruction.k
          case Code.jumpGreater: accumulator > instruction.k
          default: accumulator >= instruction.k
          }
        place += Int(holds ? instruction.jt : instruction.jf)
      case Code.answer: return .answer(instruction.k)
      default: return nil
      }
    }
    return nil
  }

  /// What each value of the word at `offset` leads to, as ranges with different outcomes; nil where that isn't ranges.
  func ranges(of offset: UInt32, from start: Int, known: [UInt32: UInt32] = [:]) -> [SeccompDispatch.Range]? {
    guard let edges = edges(of: offset, from: start, known: known) else { return nil }
    var ranges: [SeccompDispatch.Range] = []
    for first in edges.union([0]).sorted() {
      guard let outcome = follow(from: start, known: known.merging([offset: first]) { $1 }) else { return nil }
      if ranges.last?.outcome != outcome { ranges.append(.init(first: first, outcome: outcome)) }
    }
    return ranges
  }

  /// The values of a word at which a comparison's answer can change; nil where single bits are tested.
  private func edges(of offset: UInt32, from start: Int, known: [UInt32: UInt32]) -> Set<UInt32>? {
    /// What the accumulator holds: the word, less the bits outside the mask; a value; something that isn't known.
    enum Held: Hashable { case word(mask: UInt32), value(UInt32), unknown }
    struct State: Hashable { var place: Int, held: Held }
    var edges: Set<UInt32> = []
    var found: Set<State> = []
    var waiting = [State(place: start, held: .unknown)]
    while let state = waiting.popLast() {
      guard instructions.indices.contains(state.place) else { return nil }
      guard found.insert(state).inserted else { continue }
      let instruction = instructions[state.place]
      var held = state.held
      switch instruction.code {
      case Code.load:
        held = instruction.k == offset ? .word(mask: .max) : known[instruction.k].map { .value($0) } ?? .unknown
      case Code.and:
        switch held {
        case _ where instruction.k == 0: held = .value(0)
        case .word(let mask): held = .word(mask: mask & instruction.k)
        case .value(let value): held = .value(value & instruction.k)
        case .unknown: break
        }
      case Code.jump:
        waiting.append(State(place: state.place + 1 + Int(instruction.k), held: held))
        continue
      case Code.jumpEqual, Code.jumpGreater, Code.jumpGreaterOrEqual:
        if held == .unknown { continue }
        if case .word(let mask) = held {
          // `word & mask == k` holds in one range exactly where the mask has no one below a zero.
          guard ~mask & (~mask &+ 1) == 0 else { return nil }
          let last = instruction.k | ~mask
          edges.insert(instruction.k & mask)
          if last < .max { edges.insert(last + 1) }
        }
        for offset in [instruction.jt, instruction.jf] {
          waiting.append(State(place: state.place + 1 + Int(offset), held: held))
        }
        continue
      case Code.answer: continue
      default: return nil
      }
      waiting.append(State(place: state.place + 1, held: held))
    }
    return edges
  }

  /// Every instruction that can come after these, these included; nil where a way leaves the program.
  func reachable(from places: [Int]) -> Set<Int>? {
    var found: Set<Int> = []
    var waiting = places
    while let place = waiting.popLast() {
      guard instructions.indices.contains(place) else { return nil }
      guard found.insert(place).inserted else { continue }
      let instruction = instructions[place]
      if instruction.code == Code.answer { continue }
      if instruction.code == Code.jump {
        waiting.append(place + 1 + Int(instruction.k))
      } else if Code.isConditional(instruction.code) {
        waiting += [place + 1 + Int(instruction.jt), place + 1 + Int(instruction.jf)]
      } else {
        waiting.append(place + 1)
      }
    }
    return found
  }
}

/// Puts a program together from its end to its beginning: jumps only go forward, so each target is there before it.
private struct Assembler {
  private let program: Program
  /// The last instruction first. A *label* is a place in it, counted from the end of the program.
  private var reversed: [sock_filter] = []
  /// Labels of what was emitted, by what it says.
  private var labels: [SeccompDispatch.Outcome: Int] = [:]
  /// A conditional jump's.
  private static let reach = 255

  init(program: Program) { self.program = program }

  var assembled: [sock_filter] { reversed.reversed() }

  private mutating func emit(_ code: UInt16, _ k: UInt32, jt: Int = 0, jf: Int = 0) -> Int {
    reversed.append(sock_filter(code: code, jt: UInt8(jt), jf: UInt8(jf), k: k))
    return reversed.count - 1
  }
  /// How far a jump that is emitted next has to go.
  private func distance(to label: Int) -> Int { reversed.count - label - 1 }
  /// The label, or that of a jump to it where a conditional jump that comes one instruction later would not reach it.
  private mutating func near(_ label: Int) -> Int {
    distance(to: label) < Self.reach ? label : emit(Code.jump, UInt32(distance(to: label)))
  }

  private mutating func label(of outcome: SeccompDispatch.Outcome) -> Int? {
    // A second copy of an answer is as short as a jump to it.
    if let label = labels[outcome], distance(to: label) < Self.reach { return label }
    switch outcome {
    case .answer(let action): labels[outcome] = emit(Code.answer, action)
    case .word(let place): if labels[outcome] == nil { labels[outcome] = decide(from: place) }
    }
    return labels[outcome]
  }

  /// Emits what is decided from a place on: a search over its word's ranges, or the old instructions.
  private mutating func decide(from place: Int) -> Int? {
    guard case .word(let load) = program.follow(from: place, known: [:]) else { return copy(from: place) }
    let offset = program.instructions[load].k
    guard let ranges = program.ranges(of: offset, from: load) else { return copy(from: place) }
    guard let start = search(ranges[...]) else { return nil }
    if distance(to: start) > 0 { _ = emit(Code.jump, UInt32(distance(to: start))) }
    return emit(Code.load, offset)
  }

  /// Takes over all that can come after a place. The order stays, so jumps only get shorter.
  private mutating func copy(from place: Int) -> Int? {
    guard let kept = program.reachable(from: [place])?.sorted() else { return nil }
    var taken: [Int: Int] = [:]
    for place in kept.reversed() {
      var instruction = program.instructions[place]
      func moved(_ offset: Int) -> Int? { taken[place + 1 + offset].map { distance(to: $0) } }
      if instruction.code == Code.jump {
        guard let offset = moved(Int(instruction.k)) else { return nil }
        instruction.k = UInt32(offset)
      } else if Code.isConditional(instruction.code) {
        guard let holds = moved(Int(instruction.jt)), let fails = moved(Int(instruction.jf)) else { return nil }
        (instruction.jt, instruction.jf) = (UInt8(holds), UInt8(fails))
      }
      taken[place] = reversed.count
      reversed.append(instruction)
    }
    return taken[place]
  }

  /// Emits a search over neighbouring ranges of the word that was just loaded; the label where it starts.
  mutating func search(_ ranges: ArraySlice<SeccompDispatch.Range>) -> Int? {
    guard let only = ranges.first else { return nil }
    if ranges.count == 1 { return label(of: only.outcome) }
    let middle = ranges.startIndex + ranges.count / 2
    guard let above = search(ranges[middle...]), let below = search(ranges[..<middle]) else { return nil }
    let (nearAbove, nearBelow) = (near(above), near(below))
    return emit(
      Code.jumpGreaterOrEqual, ranges[middle].first, jt: distance(to: nearAbove), jf: distance(to: nearBelow))
  }

  /// The first instructions: whose call it is, and its number.
  mutating func prologue(_ start: Int, foreign: UInt32) {
    if distance(to: start) > 0 { _ = emit(Code.jump, UInt32(distance(to: start))) }
    let own = emit(Code.load, Code.numberOffset)
    let other = emit(Code.answer, foreign)
    _ = emit(Code.jumpEqual, seccomp_arch_native(), jt: distance(to: own), jf: distance(to: other))
    _ = emit(Code.load, Code.architectureOffset)
  }
}
