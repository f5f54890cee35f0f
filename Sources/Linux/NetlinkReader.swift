/// A message that the kernel sent, without its header.
struct NetlinkMessage: Sendable, Hashable {
  var type: UInt16
  var content: ArraySlice<UInt8>
}

/// The messages in what recv(2) gave; bytes that are no message end it.
func messages(_ bytes: ArraySlice<UInt8>) -> [NetlinkMessage] {
  var rest = bytes
  var found: [NetlinkMessage] = []
  while rest.count >= 16 {
    let (length, type) = rest.withUnsafeBytes {
      (Int($0.loadUnaligned(as: UInt32.self)), $0.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    }
    if length < 16 || length > rest.count { break }
    found.append(NetlinkMessage(type: type, content: rest.prefix(length).dropFirst(16)))
    rest = rest.dropFirst((length + 3) & ~3)
  }
  return found
}

/// Attributes of a message or of another attribute.
struct NetlinkAttributes {
  private var entries: [(type: UInt16, content: ArraySlice<UInt8>)] = []

  /// Reads them; bytes that are no attribute end it.
  init(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while rest.count >= 4 {
      let (length, type) = rest.withUnsafeBytes {
        (Int($0.loadUnaligned(as: UInt16.self)), $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
      }
      if length < 4 || length > rest.count { break }
      entries.append((type & 0x3fff /* without NLA_F_NESTED, NLA_F_NET_BYTEORDER */, rest.prefix(length).dropFirst(4)))
      rest = rest.dropFirst((length + 3) & ~3)
    }
  }

  /// The content of the first of a type.
  subscript(_ type: some BinaryInteger) -> ArraySlice<UInt8>? { entries.first { $0.type == type }?.content }

  /// What the first of a type holds.
  func nested(_ type: some BinaryInteger) -> NetlinkAttributes? { self[type].map { NetlinkAttributes($0) } }

  /// What each holds: the members of a list.
  var all: [NetlinkAttributes] { entries.map { NetlinkAttributes($0.content) } }

  /// A number in network byte order, of whatever width; nil where there is none.
  func bigEndian(_ type: some BinaryInteger) -> UInt64? {
    self[type].flatMap { $0.count <= 8 ? $0.reduce(0) { $0 << 8 | UInt64($1) } : nil }
  }

  /// A NUL-terminated text.
  func text(_ type: some BinaryInteger) -> String? {
    self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
