import Glibc
import JSON
import Linux

/// Reads the Hub's journal as it grows.
struct JournalTail {
  private let path: String
  private var file: Descriptor?
  private var rest: [UInt8] = []

  init(_ path: String) { self.path = path }

  /// Whole lines that came since the last call.
  mutating func next() throws -> [JSONValue] {
    if file == nil { file = try Descriptor.open(path) }
    guard let file else { return [] }
    var lines: [JSONValue] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = withExtendedLifetime(file) { read(file.number, &buffer, buffer.count) }
      try check(count, "read", path)
      if count == 0 { return lines }
      rest += buffer[..<count]
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        lines.append(try JSONValue(parsing: rest[..<end]))
        rest.removeFirst(end + 1)
      }
    }
  }
}
