import Glibc

/// An IPv4 or IPv6 address as a value.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
  /// In network order: 4 bytes or 16.
  public let bytes: [UInt8]

  /// From 4 or 16 bytes in network order; nil for any other number of them.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = Array(bytes)
  }

  /// Reads dotted decimal with four parts, or IPv6 text without brackets and zone (inet_pton(3)); nil for anything else. The
  /// many other spellings that old programs take for IPv4 (`127.1`, `0x7f000001`) are names to it.
  public init?(_ text: String) {
    guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
    var room = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &room) == 1 {
      bytes = Array(room[..<4])
    } else if inet_pton(AF_INET6, text, &room) == 1 {
      bytes = room
    } else {
      return nil
    }
  }

  /// Whether it is an IPv6 address.
  public var isV6: Bool { bytes.count == 16 }

  /// As people write it, IPv6 without brackets.
  public var description: String {
    var text = [CChar](repeating: 0, count: 64)
    guard inet_ntop(isV6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The IPv4 address that a packet to this one reaches: itself, or what is embedded in an IPv4-mapped address
  /// (RFC 4291 2.5.5.2) or in NAT64's well-known prefix (RFC 6052). Otherwise the address as it is.
  public var reached: IPAddress {
    let isMapped = bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
    let isTranslated = bytes.starts(with: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])
    guard isV6, isMapped || isTranslated else { return self }
    return IPAddress(bytes: bytes[12...]) ?? self
  }
}

/// A range of addresses as `192.0.2.0/24`; a single address is its own range.
public struct AddressBlock: Sendable, Hashable, CustomStringConvertible {
  /// The first bytes count.
  public let address: IPAddress
  /// So many bits of it.
  public let length: Int

  /// Reads `ADDRESS` or `ADDRESS/BITS`; nil for anything else, and where bits beyond the length are set.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = parts.first.flatMap({ IPAddress(String($0)) }) else { return nil }
    let width = address.bytes.count * 8
    var length = width
    if parts.count == 2 {
      guard let number = Int(parts[1]), (0...width).contains(number), !parts[1].hasPrefix("+") else { return nil }
      length = number
    }
    self.address = address
    self.length = length
    guard (length..<width).allSatisfy({ address.bytes[$0 / 8] & (0x80 >> UInt8($0 % 8)) == 0 }) else { return nil }
  }

  /// Whether an address of the same family lies in it.
  public func contains(_ other: IPAddress) -> Bool {
    guard other.bytes.count == address.bytes.count else { return false }
    let whole = length / 8
    guard other.bytes[..<whole] == address.bytes[..<whole] else { return false }
    guard length % 8 > 0 else { return true }
    let mask = UInt8(truncatingIfNeeded: 0xff00 >> (length % 8))
    return other.bytes[whole] & mask == address.bytes[whole] & mask
  }

  /// As it was read.
  public var description: String { length == address.bytes.count * 8 ? "\(address)" : "\(address)/\(length)" }
}
