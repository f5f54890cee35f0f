import Glibc
import JSON
import Linux

/// A log record as the daemons write it.
package struct LogLine: Sendable {
  /// Microseconds since 1970, of the record's millisecond.
  package var time: Int64
  package var message: String
  package var fields: JSONValue

  /// Nil for a line that is none.
  package init?(_ text: String) {
    guard text.first == "{", let fields = try? JSONValue(parsing: text.utf8), let message = fields["message"]?.string,
      let time = fields["time"]?.string.flatMap(Self.microseconds)
    else { return nil }
    (self.time, self.message, self.fields) = (time, message, fields)
  }

  package subscript(name: String) -> String? {
    switch fields[name] {
    case .string(let text): text
    case .integer(let number): "\(number)"
    default: nil
    }
  }

  /// Every record in a file, oldest first.
  package static func all(in path: String) throws(LinuxError) -> [LogLine] {
    try readFile(path, limit: 1 << 30).split(separator: "\n").compactMap { LogLine(String($0)) }
  }

  /// `2026-01-31T12:00:00.250Z`
  static func microseconds(_ text: String) -> Int64? {
    let numbers = text.split { "-T:.Z".contains($0) }.compactMap { Int32($0) }
    guard numbers.count == 7 else { return nil }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
    return Int64(timegm(&parts)) * 1_000_000 + Int64(numbers[6]) * 1000
  }
}
