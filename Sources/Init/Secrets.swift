import CInit
import CPlan

/// Variables that no plan holds: they are mapped before the walls forbid it, and become part of the program's environment at
/// exec. Nobody may look into PID 1, and the program has them anyway.
struct Secrets {
  private var base = 0
  private var count = 0

  /// Maps the descriptor's content, "NAME=value" texts with their NULs. 0, or -errno.
  mutating func map(_ descriptor: Int) -> Int {
    let length = call(NR_lseek.number, descriptor, 0, 2)
    if length <= 0 { return length < 0 ? length : -Int(EINVAL) }
    // PROT_READ, MAP_PRIVATE
    let mapped = call(NR_mmap.number, 0, length, 1, 2, descriptor)
    if mapped < 0 { return mapped }
    _ = call(NR_close.number, descriptor)
    base = mapped
    count = length
    return 0
  }

  /// Puts a pointer to each text before a table with room for PLAN_SECRETS_LIMIT, and takes out of the table what has the same
  /// name: programs don't agree on which of two counts. The table's new beginning; nil where the texts are too many or the last
  /// one has no end.
  func put(before table: UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<Int>? {
    guard count > 0, let bytes = UnsafePointer<UInt8>(bitPattern: base) else { return table }
    if bytes[count - 1] != 0 { return nil }
    var start = table
    var room = Int(PLAN_SECRETS_LIMIT)
    var index = 0
    while index < count {
      if room == 0 { return nil }
      room -= 1
      start -= 1
      start.pointee = base + index
      while bytes[index] != 0 { index += 1 }
      index += 1
    }
    takeNames(from: start, to: table)
    return start
  }

  private func takeNames(from secrets: UnsafeMutablePointer<Int>, to table: UnsafeMutablePointer<Int>) {
    var kept = 0
    var index = 0
    while table[index] != 0 {
      var secret = secrets
      while secret < table && !haveSameName(secret.pointee, table[index]) { secret += 1 }
      if secret == table {
        table[kept] = table[index]
        kept += 1
      }
      index += 1
    }
    table[kept] = 0
  }

  private func haveSameName(_ left: Int, _ right: Int) -> Bool {
    guard let left = UnsafePointer<UInt8>(bitPattern: left), let right = UnsafePointer<UInt8>(bitPattern: right) else {
      return false
    }
    var index = 0
    while left[index] == right[index] {
      if left[index] == UInt8(ascii: "=") || left[index] == 0 { return true }
      index += 1
    }
    return false
  }
}
