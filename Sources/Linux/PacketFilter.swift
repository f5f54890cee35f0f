import CLinux
import Glibc
import Synchronization

/// The gateway namespace's packet filter (nftables over nfnetlink, no `nft` process).
///
/// One table with one chain at prerouting, where every packet from a sandbox passes (input would not see those to
/// foreign addresses), and one set of (interface, source, destination, port). What is not in the set is counted by its
/// destination and refused at once; what can't be refused is dropped.
///
/// Counts go to a *slot*, a dynamic set that belongs to one sandbox at a time: a set for all of them could only be read
/// whole, and while others change it not even that reliably. Slots are made in groups and used again, since to make and
/// delete sets and rules takes the kernel much longer than to add and delete elements.
public final class PacketFilter: Sendable {
  /// One way that is open.
  public struct Way: Sendable, Hashable {
    /// Interface number in the gateway namespace.
    public var interface: UInt32
    /// The sandbox's address.
    public var source: IPv4Address
    /// The only address that it may reach.
    public var destination: IPv4Address
    /// TCP port.
    public var port: UInt16

    /// Opens exactly this.
    public init(interface: UInt32, source: IPv4Address, destination: IPv4Address, port: UInt16) {
      self.interface = interface
      self.source = source
      self.destination = destination
      self.port = port
    }
  }

  /// One sandbox's part of the filter, from `open` to `close`.
  public struct Gate: Sendable, Hashable {
    /// Interface number in the gateway namespace.
    public let interface: UInt32
    /// What is open.
    public let ways: [Way]
    let slot: UInt32
  }

  /// Name of the table, in family inet.
  public static let table = "botburrow"
  /// Destinations that are counted one by one; what goes to more of them is one sum.
  public static let destinationLimit = 256

  private struct State {
    var socket: NetlinkSocket
    var free: [UInt32] = []
    var slotCount: UInt32 = 0
  }
  private let state: Mutex<State>
  // 0.1 ms each.
  private static let slotsAtFirst: UInt32 = 8
  private static let slotsLater: UInt32 = 32

  /// Installs table, chains and sets in the current namespace: closed for all.
  public init() throws(LinuxError) {
    let socket = try NetlinkSocket.netfilter()
    try socket.exchange(filterMessages(), "table inet \(Self.table)")
    var state = State(socket: socket)
    try Self.addSlots(Self.slotsAtFirst, &state)
    self.state = Mutex(state)
  }

  private static func addSlots(_ count: UInt32, _ state: inout State) throws(LinuxError) {
    let fresh = state.slotCount..<state.slotCount + count
    try state.socket.exchange(slotMessages(fresh), "slots \(fresh)")
    state.slotCount = fresh.upperBound
    state.free = fresh.reversed()
  }

  /// Opens a sandbox's ways, all or none, and counts what else it tries from now on.
  public func open(interface: UInt32, _ ways: [Way]) throws(LinuxError) -> Gate {
    try state.withLock { (state) throws(LinuxError) in
      if state.free.isEmpty { try Self.addSlots(Self.slotsLater, &state) }
      let gate = Gate(interface: interface, ways: ways, slot: state.free[state.free.count - 1])
      try state.socket.exchange(openMessages(gate), "interface \(interface)")
      state.free.removeLast()
      return gate
    }
  }

  /// Closes a sandbox's ways and says what it was denied. Call it once its program has ended.
  public func close(_ gate: Gate) throws(LinuxError) -> Denials {
    try state.withLock { (state) throws(LinuxError) in
      let denials: Denials
      do throws(LinuxError) { denials = try Self.denials(of: gate, state.socket) } catch {
        // Closing matters more than counting. The slot may hold what we couldn't read, so that nobody gets it again.
        try state.socket.exchange(closeMessages(gate, empties: true), "interface \(gate.interface)")
        throw error
      }
      try state.socket.exchange(closeMessages(gate, empties: denials.packets > 0), "interface \(gate.interface)")
      state.free.append(gate.slot)
      return denials
    }
  }

  /// What a sandbox was denied so far.
  public func denials(of gate: Gate) throws(LinuxError) -> Denials {
    try state.withLock { (state) throws(LinuxError) in try Self.denials(of: gate, state.socket) }
  }

  private static func denials(of gate: Gate, _ socket: NetlinkSocket) throws(LinuxError) -> Denials {
    let object = "denials of interface \(gate.interface)"
    let watched = try socket.query(watchQuery(gate), object).flatMap { elements($0) }
    guard let packets = watched.first?.packets, packets > 0 else { return Denials() }
    let counted = try socket.query(slotQuery(gate), object).flatMap { elements($0) }
    return Denials(packets: packets, counted: counted, interface: gate.interface)
  }
}

extension PacketFilter.Way {
  /// The set's key: four 32-bit registers; the interface in host order, the rest as on the wire.
  var key: [UInt8] {
    withUnsafeBytes(of: interface) { Array($0) } + source.bytes + destination.bytes
      + [UInt8(port >> 8), UInt8(port & 0xff), 0, 0]
  }
}
