import CLinux
import Glibc
import Testing

@testable import Linux

private let isRoot = geteuid() == 0
private let gatewayAddress = IPv4Address(0xC612_0001)
private let insideAddress = IPv4Address(0xC612_0107)

private func way(_ port: UInt16) -> PacketFilter.Way {
  PacketFilter.Way(interface: 107, source: insideAddress, destination: gatewayAddress, port: port)
}

private func ruleset() throws -> String { try output("/usr/sbin/nft", ["nft", "list", "ruleset"]) }
private func listing(_ kind: String, _ name: String) throws -> String {
  try output("/usr/sbin/nft", ["nft", "list", kind, "inet", "botburrow", name])
}

/// A gateway namespace and one sandbox's, with a link between them.
private struct Wired {
  let filter: PacketFilter
  let home: Descriptor
  let inside: Descriptor

  /// In the calling thread's namespace.
  init() throws {
    home = try NetworkNamespace.current()
    try NetworkNamespace.serveGateway(at: gatewayAddress)
    filter = try PacketFilter()
    let link = VirtualLink(name: "bbtest", index: 107, inside: insideAddress, gateway: gatewayAddress)
    inside = try NetworkNamespace.make(wired: link, home: home)
    try NetworkNamespace.connect(link, through: try NetlinkSocket.route())
  }

  /// What was denied, once so many packets have come through: the kernel may be a little behind.
  func denials(_ gate: PacketFilter.Gate, of packets: UInt64) throws -> Denials {
    let deadline = ContinuousClock.now + .seconds(10)
    while true {
      let denials = try filter.denials(of: gate)
      if denials.packets >= packets || ContinuousClock.now > deadline { return denials }
      usleep(1000)
    }
  }

  /// What happens in the sandbox's namespace.
  func visit(_ body: () throws -> Void) throws {
    try check(cl_setns(inside.number, Int32(CL_NEWNET)), "setns", "inside")
    defer { if cl_setns(home.number, Int32(CL_NEWNET)) < 0 { abort() } }
    try body()
  }
}

/// An address of whatever family, as the socket calls want it.
private func withAddress<Result>(
  _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  var four = sockaddr_in()
  var six = sockaddr_in6()
  if inet_pton(AF_INET, text, &four.sin_addr) == 1 {
    four.sin_family = sa_family_t(AF_INET)
    four.sin_port = port.bigEndian
    return withUnsafePointer(to: &four) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
  #expect(inet_pton(AF_INET6, text, &six.sin6_addr) == 1, "\(text)")
  six.sin6_family = sa_family_t(AF_INET6)
  six.sin6_port = port.bigEndian
  return withUnsafePointer(to: &six) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
  }
}

private func family(_ text: String) -> Int32 { text.contains(":") ? AF_INET6 : AF_INET }

/// connect(2), with the errno that it ended with; 0 where it was let through.
private func connectTCP(_ address: String, _ port: UInt16) throws -> Int32 {
  let socket = Descriptor(owning: Glibc.socket(family(address), Int32(SOCK_STREAM.rawValue), 0))
  defer { withExtendedLifetime(socket) {} }
  return withAddress(address, port) { connect(socket.number, $0, $1) } == 0 ? 0 : errno
}

/// Sends one SYN to where no answer comes from: the gateway knows no way back to the source.
private func beginTCP(_ address: String, _ port: UInt16, from source: String) throws {
  let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
  let socket = Descriptor(owning: Glibc.socket(family(address), type, 0))
  defer { withExtendedLifetime(socket) {} }
  try check(withAddress(source, 0) { bind(socket.number, $0, $1) }, "bind", source)
  #expect(withAddress(address, port) { connect(socket.number, $0, $1) } == -1 && errno == EINPROGRESS)
}

private func send(
  _ address: String, _ port: UInt16 = 0, type: Int32 = Int32(SOCK_DGRAM.rawValue), transport: Int32 = 0,
  _ bytes: [UInt8] = [1]
) throws {
  let socket = Descriptor(owning: Glibc.socket(family(address), type, transport))
  defer { withExtendedLifetime(socket) {} }
  try check(
    withAddress(address, port) { sendto(socket.number, bytes, bytes.count, 0, $0, $1) }, "sendto", "\(address):\(port)")
}

private let raw = Int32(SOCK_RAW.rawValue)
private let echoRequest: [UInt8] = [8, 0, 0xf7, 0xff, 0, 0, 0, 0]

@Suite("Packet filter and links in a real namespace", .enabled(if: isRoot, "needs root"))
struct PacketFilterTests {
  @Test func `The rules are what nft shows, and ways open and close`() async throws {
    let (before, slot, opened, closed) = try await inNetworkNamespace {
      let filter = try PacketFilter()
      let before = try listing("chain", "prerouting")
      let gate = try filter.open(interface: 107, [way(8080), way(443)])
      let slot = try listing("chain", "count-0")
      let opened = try ruleset()
      #expect(try filter.close(gate) == Denials())
      return (before, slot, opened, try listing("set", "allowed"))
    }
    // nft leaves out that the first rule asks for IPv4 and TCP, for its keys say so.
    let expected = """
      table inet botburrow {
      	chain prerouting {
      		type filter hook prerouting priority raw; policy drop;
      		iif . ip saddr . ip daddr . tcp dport @allowed accept
      		meta mark set iif map @watched meta mark vmap @slots
      		meta l4proto tcp counter packets 0 bytes 0 reject with tcp reset
      		counter packets 0 bytes 0 reject with icmpx admin-prohibited
      		drop
      	}
      }

      """
    #expect(before == expected)
    // A value of a register that nft has no type for is all that it finds odd here.
    #expect(
      slot == """
        table inet botburrow {
        	chain count-0 {
        		meta l4proto @with-ports update @denied-0 { iif . ::ffff . ip daddr . meta l4proto . th dport counter } return
        		update @denied-0 { iif . ::ffff . ip daddr . meta l4proto . 0x0 [invalid type] counter } return
        		meta l4proto @with-ports update @denied-0 { iif . ip6 daddr . meta l4proto . th dport counter } return
        		update @denied-0 { iif . ip6 daddr . meta l4proto . 0 counter } return
        	}
        }

        """)
    #expect(opened.contains("elements = { 107 counter packets 0 bytes 0 : 0x00000000 }"))
    #expect(opened.contains("0x00000007 : jump count-7"))
    #expect(opened.contains("107 . 198.18.1.7 . 198.18.0.1 . 8080"))
    #expect(opened.contains("107 . 198.18.1.7 . 198.18.0.1 . 443"))
    #expect(!closed.contains("198.18.1.7"))
  }

  @Test func `Ways open all or none, and errors name the interface`() async throws {
    let (failure, after) = try await inNetworkNamespace {
      let filter = try PacketFilter()
      let gate = try filter.open(interface: 107, [way(1)])
      var other = way(1)
      other.source = IPv4Address(3)
      var failure = "none"
      do { _ = try filter.open(interface: 108, [other, way(1)]) } catch { failure = "\(error)" }
      // The socket serves on after a refusal.
      _ = try filter.close(gate)
      return (failure, try listing("set", "allowed"))
    }
    #expect(failure == "NETLINK_NETFILTER interface 108: EEXIST (File exists)")
    #expect(!after.contains("elements"))
  }

  @Test func `Every denied packet is counted by its destination`() async throws {
    try await inNetworkNamespace {
      let wired = try Wired()
      let gate = try wired.filter.open(interface: 107, [way(8080)])
      let listener = Descriptor(owning: cl_tcp_listener(gatewayAddress.number, 8080, "bbtest", 8))
      let hardware = try output("/usr/sbin/ip", ["ip", "-o", "link", "show", "bbtest"])
      // A link of ours is too narrow for IPv6; the filter must hold all the same.
      _ = try output("/usr/sbin/ip", ["ip", "link", "set", "bbtest", "mtu", "1500"])
      let mac = try #require(hardware.split(separator: " ").split(separator: "link/ether").last?.first)
      try wired.visit {
        // The control: what is open is let through, and isn't counted.
        #expect(try connectTCP("198.18.0.1", 8080) == 0)

        #expect(try connectTCP("198.18.0.1", 8081) == ECONNREFUSED)
        #expect(try connectTCP("198.18.0.1", 8081) == ECONNREFUSED)
        #expect(try connectTCP("203.0.113.9", 443) == ECONNREFUSED)
        for _ in 0..<3 { try send("203.0.113.9", 53) }
        try send("203.0.113.10", type: raw, transport: 1, echoRequest)
        try send("203.0.113.10", type: raw, transport: 47)

        // What the filter must hold against, had the sandbox these powers: other sources, IPv6.
        let ip = { (arguments: [String]) in _ = try output("/usr/sbin/ip", ["ip"] + arguments) }
        try ip(["addr", "add", "10.9.9.9/32", "dev", "eth0"])
        try beginTCP("198.18.0.1", 8080, from: "10.9.9.9")
        #expect(throws: (any Error).self) { try beginTCP("fd00::1", 8080, from: "fd00::2") }
        try ip(["link", "set", "eth0", "mtu", "1500"])
        try ip(["-6", "addr", "add", "fd00::2/64", "dev", "eth0", "nodad"])
        try ip(["-6", "neigh", "add", "fd00::1", "lladdr", String(mac), "dev", "eth0"])
        try beginTCP("fd00::1", 8080, from: "fd00::2")
        try send("fd00::1", 53)
        try send("fd00::1", 53)
        try send("fd00::1", type: raw, transport: 58, [128, 0, 0, 0, 0, 0, 0, 0])
      }
      withExtendedLifetime(listener) {}
      let counted = try wired.denials(gate, of: 13)
      let denials = try wired.filter.close(gate)
      let destinations = denials.destinations.filter { !$0.address.hasPrefix("ff02:") }
      #expect(
        destinations == [
          .init(address: "198.18.0.1", transport: "tcp", port: 8080, packets: 1),
          .init(address: "198.18.0.1", transport: "tcp", port: 8081, packets: 2),
          .init(address: "203.0.113.9", transport: "tcp", port: 443, packets: 1),
          .init(address: "203.0.113.9", transport: "udp", port: 53, packets: 3),
          .init(address: "203.0.113.10", transport: "icmp", port: 0, packets: 1),
          .init(address: "203.0.113.10", transport: "47", port: 0, packets: 1),
          .init(address: "fd00::1", transport: "tcp", port: 8080, packets: 1),
          .init(address: "fd00::1", transport: "udp", port: 53, packets: 2),
          .init(address: "fd00::1", transport: "icmpv6", port: 0, packets: 1),
        ])
      #expect(denials.overflow == 0)
      #expect(denials.packets == denials.destinations.reduce(0) { $0 + $1.packets })
      #expect(counted.destinations.contains(.init(address: "203.0.113.9", transport: "udp", port: 53, packets: 3)))
      // Nothing stays, and what comes now is still refused.
      try wired.visit {
        let refused = try connectTCP("198.18.0.1", 8080)
        #expect(refused == ECONNREFUSED)
      }
      for set in ["allowed", "denied-0"] {
        let text = try listing("set", set)
        #expect(!text.contains("elements"))
      }
      let watched = try listing("map", "watched")
      #expect(!watched.contains("elements"))
    }
  }

  @Test func `Of 300 destinations 256 are told, the others are one sum`() async throws {
    try await inNetworkNamespace {
      let wired = try Wired()
      let gate = try wired.filter.open(interface: 107, [])
      try wired.visit {
        // An answer means that the neighbour is known: what waits for that may be lost.
        let refused = try connectTCP("198.18.0.1", 1)
        #expect(refused == ECONNREFUSED)
        for number in 0..<300 { try send("203.0.\(113 + number / 200).\(1 + number % 200)", 53) }
        // Those that are known are counted on.
        try send("203.0.113.1", 53)
      }
      #expect(try wired.denials(gate, of: 302).packets == 302)
      let denials = try wired.filter.close(gate)
      #expect(denials.packets == 302)
      #expect(denials.destinations.count == 256 && denials.overflow == 45)
      #expect(
        denials.destinations.prefix(2) == [
          .init(address: "198.18.0.1", transport: "tcp", port: 1, packets: 1),
          .init(address: "203.0.113.1", transport: "udp", port: 53, packets: 2),
        ])
      // The next to have the slot begins at nothing.
      let next = try wired.filter.open(interface: 107, [])
      #expect(next.slot == gate.slot)
      #expect(try wired.filter.close(next) == Denials())
    }
  }

  @Test func `2,100 sandboxes in a row leave nothing, and 70 at a time have a slot each`() async throws {
    try await inNetworkNamespace {
      let wired = try Wired()
      for turn in 0..<30 {
        let gates = try (0..<70).map { number in
          let interface = number == 0 ? 107 : UInt32(1000 + turn * 70 + number)
          var open = way(8080)
          open.interface = interface
          return try wired.filter.open(interface: interface, [open])
        }
        #expect(Set(gates.map(\.slot)).count == 70)
        try wired.visit { try send("203.0.113.9", 53) }
        _ = try wired.denials(gates[0], of: 1)
        for gate in gates {
          let denials = try wired.filter.close(gate)
          #expect(denials.packets == (gate.interface == 107 ? 1 : 0))
        }
      }
      let all = try ruleset()
      #expect(!all.contains("198.18.1.7") && !all.contains("203.0.113.9"))
      let watched = try listing("map", "watched")
      #expect(!watched.contains("elements"))
      // 8, and two times 32.
      #expect(all.split(separator: "\n").count { $0.contains("set denied-") } == 72)
    }
  }

  @Test func `A wired namespace has one address, and its link dies with it`() async throws {
    let (inside, during) = try await inNetworkNamespace {
      let home = try NetworkNamespace.current()
      let link = VirtualLink(
        name: "bbtest", index: 107, inside: IPv4Address(0xC612_0107), gateway: IPv4Address(0xC612_0001))
      try NetworkNamespace.serveGateway(at: link.gateway)
      let namespace = try NetworkNamespace.make(wired: link, home: home)
      try NetworkNamespace.connect(link, through: try NetlinkSocket.route())
      let during = try output("/usr/sbin/ip", ["ip", "-br", "link", "show", "bbtest"])
      let inside = try output(
        "/usr/bin/nsenter", ["nsenter", "--net=/proc/self/fd/9", "/usr/sbin/ip", "-br", "addr"],
        descriptors: [9: namespace.number])
      return (inside, during)
    }
    #expect(during.hasPrefix("bbtest@"))
    let lines = inside.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(lines.map { $0.first ?? "" } == ["lo", "eth0@if107"])
    #expect(lines.last.map { Array($0.dropFirst(2)) } == ["198.18.1.7/32"])
  }
}
