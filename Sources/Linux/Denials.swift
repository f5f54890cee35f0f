import CLinux
import Glibc

/// What a sandbox tried to reach and was not let through to, as the packet filter counted it.
public struct Denials: Sendable, Hashable {
  /// Packets to one destination.
  public struct Destination: Sendable, Hashable {
    /// Dotted decimal, or IPv6 as inet_ntop(3) writes it.
    public var address: String
    /// `tcp`, `udp`, `icmp`, or the number that IANA gave it.
    public var transport: String
    /// 0 where the protocol has none, or the packet did not say (a later fragment).
    public var port: UInt16
    /// How many were refused.
    public var packets: UInt64

    /// Puts one together.
    public init(address: String, transport: String, port: UInt16, packets: UInt64) {
      self.address = address
      self.transport = transport
      self.port = port
      self.packets = packets
    }
  }

  /// All packets that were refused.
  public var packets: UInt64 = 0
  /// The first `PacketFilter.destinationLimit` destinations, by address, protocol and port.
  public var destinations: [Destination] = []
  /// Packets to any other destination.
  public var overflow: UInt64 = 0

  /// None.
  public init() {}
}

extension Denials {
  /// From the elements of an interface's slot; elements of other interfaces are packets that were under way when an
  /// earlier sandbox ended.
  init(packets: UInt64, counted: [FilterElement], interface: UInt32) {
    let own = counted.filter { $0.interface == interface }
    let listed = own.compactMap { element in
      Destination(key: element.key, packets: element.packets).map { (Array(element.key.dropFirst(4)), $0) }
    }
    destinations = listed.sorted { $0.0.lexicographicallyPrecedes($1.0) }.map(\.1)
    // The two counters are read one after the other, and of a living sandbox the second may be ahead.
    let sum = destinations.reduce(0) { $0 + $1.packets }
    self.packets = max(packets, sum)
    overflow = self.packets - sum
  }
}

extension Denials.Destination {
  /// From a slot's key: interface, address (IPv4 as ::ffff:a.b.c.d), protocol, port, each padded to 32 bits.
  init?(key: [UInt8], packets: UInt64) {
    guard key.count == 28 else { return nil }
    let isIPv4 = key[4..<14].allSatisfy { $0 == 0 } && key[14] == 0xff && key[15] == 0xff
    var address = Array(key[(isIPv4 ? 16 : 4)..<20])
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(isIPv4 ? AF_INET : AF_INET6, &address, &text, socklen_t(text.count)) != nil else { return nil }
    self.init(
      address: String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self),
      transport: Self.name(ofProtocol: key[20]), port: UInt16(key[24]) << 8 | UInt16(key[25]), packets: packets)
  }

  private static func name(ofProtocol number: UInt8) -> String {
    switch number {
    case 1: "icmp"
    case 2: "igmp"
    case 6: "tcp"
    case 17: "udp"
    case 33: "dccp"
    case 58: "icmpv6"
    case 132: "sctp"
    case 136: "udplite"
    default: "\(number)"
    }
  }
}

/// An element of one of the filter's sets, as the kernel tells it.
struct FilterElement: Hashable {
  var key: [UInt8]
  /// Of its counter; 0 where it has none.
  var packets: UInt64

  /// Every key of ours begins with an interface number.
  var interface: UInt32? {
    key.count >= 4 ? key.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } : nil
  }
}

/// The elements in one message of a set's listing (NFT_MSG_NEWSETELEM).
func elements(_ message: NetlinkMessage) -> [FilterElement] {
  // The attributes stand behind struct nfgenmsg.
  let list = NetlinkAttributes(message.content.dropFirst(4)).nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)
  return (list?.all ?? []).compactMap { element in
    guard let key = element.nested(NFTA_SET_ELEM_KEY.rawValue)?[NFTA_DATA_VALUE.rawValue] else { return nil }
    let counter = element.nested(NFTA_SET_ELEM_EXPR.rawValue)?.nested(NFTA_EXPR_DATA.rawValue)
    return FilterElement(key: Array(key), packets: counter?.bigEndian(NFTA_COUNTER_PACKETS.rawValue) ?? 0)
  }
}
