import Glibc

/// Takes secrets out of what a server says: it has them, its agent and the log must not. A server that means harm can write
/// them in other letters; this is for those that show their configuration in an error message.
public struct Redactor: Sendable {
  private let values: [[UInt8]]

  /// Values shorter than this would be found in ordinary text.
  static let shortest = 6

  /// Looks for these values, as they are and as JSON writes them.
  public init(_ secrets: some Sequence<String>) {
    let long = secrets.filter { $0.utf8.count >= Self.shortest }
    // The longest first: one may be part of another.
    let forms = Set(long.map { Array($0.utf8) } + long.map { Self.escaped($0) })
    values = forms.sorted { $0.count > $1.count }
  }

  /// The text with `***` in place of each.
  func redacted(_ bytes: [UInt8]) -> [UInt8] {
    values.reduce(bytes) { Self.replacing($1, in: $0) }
  }

  /// In one pass: a server that says nothing but its secret must not keep anybody waiting.
  private static func replacing(_ value: [UInt8], in bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var rest = 0
    while let place = find(value, in: bytes, from: rest) {
      result += bytes[rest..<place]
      result += "***".utf8
      rest = place + value.count
    }
    return rest == 0 ? bytes : result + bytes[rest...]
  }

  private static func find(_ value: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress, let first = value.first else { return nil }
      var place = start
      while place + value.count <= bytes.count {
        let room = bytes.count - value.count + 1 - place
        guard let found = memchr(base + place, Int32(first), room) else { return nil }
        place = base.distance(to: UnsafeRawPointer(found))
        if memcmp(found, value, value.count) == 0 { return place }
        place += 1
      }
      return nil
    }
  }

  /// Inside a JSON string, as most writers do it.
  private static func escaped(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 10: bytes += "\\n".utf8
      case 9: bytes += "\\t".utf8
      default: bytes.append(byte)
      }
    }
    return bytes
  }
}
