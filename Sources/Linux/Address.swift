/// An IPv4 address as a number in host byte order.
public struct IPv4Address: Sendable, Hashable, CustomStringConvertible {
  /// 198.18.0.1 is 0xC6120001.
  public let number: UInt32

  /// From host byte order.
  public init(_ number: UInt32) { self.number = number }

  /// From dotted decimal; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
      // UInt8 alone would take "+1"; a leading zero means octal to some.
      part.utf8.allSatisfy { (48...57).contains($0) } && (part == "0" || !part.hasPrefix("0")) ? UInt8(part) : nil
    }
    guard parts.count == 4 else { return nil }
    var number: UInt32 = 0
    for part in parts {
      guard let part else { return nil }
      number = number << 8 | UInt32(part)
    }
    self.number = number
  }

  /// The four bytes in network order.
  public var bytes: [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
  /// Dotted decimal.
  public var description: String { bytes.map(String.init).joined(separator: ".") }
}
