import CLinux
import Glibc

/// What is in force in a gateway namespace, read back from the kernel.
public struct PacketFilterReading: Sendable, Hashable {
  /// All ways that are open.
  public var ways: Set<PacketFilter.Way> = []
  /// Interfaces whose denials are counted.
  public var watched: Set<UInt32> = []
  /// The rules at prerouting in their order, each by the kernel's names of its parts ("meta cmp lookup immediate").
  public var rules: [String] = []
  /// Tables of the namespace.
  public var tables: Set<String> = []
  /// Nothing passes the table: what no rule accepts is dropped, and the table is in force.
  public var isClosed = false

  /// For tests and where nothing was read.
  public init() {}

  /// Of the calling thread's network namespace.
  public static func read() throws(LinuxError) -> PacketFilterReading {
    let socket = try NetlinkSocket.netfilter()
    var reading = PacketFilterReading()
    var isDormant = false
    for message in try socket.query(tablesQuery(), "tables") {
      let table = NetlinkAttributes(message.content.dropFirst(4))
      guard let name = table.text(NFTA_TABLE_NAME.rawValue) else { continue }
      reading.tables.insert(name)
      if name == PacketFilter.table { isDormant = (table.bigEndian(NFTA_TABLE_FLAGS.rawValue) ?? 0) & 1 != 0 }
    }
    for message in try socket.query(chainsQuery(), "chains") {
      let chain = NetlinkAttributes(message.content.dropFirst(4))
      guard chain.text(NFTA_CHAIN_TABLE.rawValue) == PacketFilter.table, chain.nested(NFTA_CHAIN_HOOK.rawValue) != nil
      else { continue }
      reading.isClosed = !isDormant && chain.bigEndian(NFTA_CHAIN_POLICY.rawValue) == 0
    }
    for message in try socket.query(rulesQuery(), "rules") {
      let rule = NetlinkAttributes(message.content.dropFirst(4))
      let parts = rule.nested(NFTA_RULE_EXPRESSIONS.rawValue)?.all ?? []
      reading.rules.append(parts.map { $0.text(NFTA_EXPR_NAME.rawValue) ?? "?" }.joined(separator: " "))
    }
    reading.ways = Set(
      try socket.query(allowedQuery(), "ways").flatMap { elements($0) }.compactMap { .init(key: $0.key) })
    reading.watched = Set(try socket.query(watchedQuery(), "watched").flatMap { elements($0) }.compactMap(\.interface))
    return reading
  }

  /// What `rules` are as `PacketFilter` made them.
  public static let expectedRules = preroutingRules.map { $0.map(\.name).joined(separator: " ") }
}

extension PacketFilter.Way {
  /// From an element's key.
  init?(key: [UInt8]) {
    guard key.count == 16 else { return nil }
    func number(_ offset: Int) -> UInt32 {
      key.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    }
    self.init(
      interface: number(0), source: IPv4Address(UInt32(bigEndian: number(4))),
      destination: IPv4Address(UInt32(bigEndian: number(8))), port: UInt16(key[12]) << 8 | UInt16(key[13]))
  }
}
