/// Programs name others that must be there to run them; no call of theirs names those.
enum Interpreters {
  /// The path in the first bytes of a program: the loader of an ELF file (PT_INTERP, elf(5)) or the interpreter of a script
  /// (`#!`, execve(2)); nil where it needs none. A kilobyte is enough: program headers stand right behind the ELF header.
  static func named(in head: [UInt8]) -> String? {
    if head.starts(with: [0x23, 0x21]) {
      let line = head.dropFirst(2).prefix { $0 != 10 }.drop { $0 == 32 || $0 == 9 }
      let path = String(decoding: line.prefix { $0 != 32 && $0 != 9 && $0 != 13 }, as: UTF8.self)
      return path.isEmpty ? nil : path
    }
    // 0x7f E L F, 64 bits, little-endian: all that this program runs on.
    guard head.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), head.count >= 64 else { return nil }
    let table = Int(clamping: number(head, 32, 8))
    let size = Int(number(head, 54, 2))
    let count = Int(number(head, 56, 2))
    guard size >= 56, count < 128, table < head.count else { return nil }
    for index in 0..<count {
      let header = table + index * size
      guard header + 56 <= head.count else { return nil }
      // PT_INTERP
      if number(head, header, 4) != 3 { continue }
      let start = Int(clamping: number(head, header + 8, 8))
      let length = Int(clamping: number(head, header + 32, 8))
      guard start < head.count, length <= head.count - start, length > 1 else { return nil }
      return String(decoding: head[start..<start + length].prefix { $0 != 0 }, as: UTF8.self)
    }
    return nil
  }

  private static func number(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
    bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
