/// What kind of place an address is. Whatever isn't plainly a host of the public Internet is something else, so that a range
/// that is assigned one day is refused until somebody looks at it.
public enum AddressClass: String, Sendable, Hashable, CaseIterable {
  /// A host of the public Internet.
  case publicHost = "public"
  /// This host: 127.0.0.0/8, ::1.
  case loopback
  /// "This network": 0.0.0.0/8, ::; connecting to it reaches this host.
  case unspecified
  /// Private networks (RFC 1918), unique local IPv6 (RFC 4193), site-local IPv6, locally translated (RFC 8215).
  case privateNetwork = "private"
  /// The link, and with it most clouds' metadata services (169.254.169.254): RFC 3927, fe80::/10.
  case linkLocal = "link-local"
  /// Behind a provider's NAT: 100.64.0.0/10 (RFC 6598), where some clouds have services too.
  case carrierNAT = "carrier-nat"
  /// Benchmarks (RFC 2544); here the gateway of every sandbox has its address.
  case benchmark
  /// A platform's own service that has a public address: Azure's 168.63.129.16.
  case platform
  /// Groups, not hosts.
  case multicast
  /// The broadcast address.
  case broadcast
  /// Examples in texts (RFC 5737, RFC 3849, RFC 9637).
  case documentation
  /// Not assigned, for protocols, for tunnels whose far end isn't known, or to be thrown away (RFC 6890).
  case reserved

  /// Looks at the address that a packet would reach: IPv4 inside IPv6 is what it is inside.
  public init(_ address: IPAddress) {
    let reached = address.reached
    let table = reached.isV6 ? Self.six : Self.four
    self = table.first { $0.block.contains(reached) }?.kind ?? (reached.isV6 ? .reserved : .publicHost)
  }

  private typealias Row = (block: AddressBlock, kind: AddressClass)
  private static func rows(_ table: [(String, AddressClass)]) -> [Row] {
    table.compactMap { text, kind in AddressBlock(text).map { ($0, kind) } }
  }

  /// The first that contains it counts (https://www.iana.org/assignments/iana-ipv4-special-registry).
  private static let four = rows([
    ("0.0.0.0/8", .unspecified), ("10.0.0.0/8", .privateNetwork), ("100.64.0.0/10", .carrierNAT),
    ("127.0.0.0/8", .loopback), ("168.63.129.16", .platform), ("169.254.0.0/16", .linkLocal),
    ("172.16.0.0/12", .privateNetwork), ("192.0.0.0/24", .reserved), ("192.0.2.0/24", .documentation),
    ("192.31.196.0/24", .reserved), ("192.52.193.0/24", .reserved), ("192.88.99.0/24", .reserved),
    ("192.168.0.0/16", .privateNetwork), ("192.175.48.0/24", .reserved), ("198.18.0.0/15", .benchmark),
    ("198.51.100.0/24", .documentation), ("203.0.113.0/24", .documentation), ("224.0.0.0/4", .multicast),
    ("255.255.255.255", .broadcast), ("240.0.0.0/4", .reserved),
  ])

  /// Only 2000::/3 is assigned to hosts, and not all of it (https://www.iana.org/assignments/iana-ipv6-special-registry).
  private static let six = rows([
    ("::", .unspecified), ("::1", .loopback), ("64:ff9b:1::/48", .privateNetwork), ("fc00::/7", .privateNetwork),
    ("fe80::/10", .linkLocal), ("fec0::/10", .privateNetwork), ("ff00::/8", .multicast),
    ("2001:db8::/32", .documentation),
    ("3fff::/20", .documentation), ("2001::/23", .reserved), ("2002::/16", .reserved), ("2620:4f:8000::/48", .reserved),
    ("2000::/3", .publicHost),
  ])
}
