import Sandbox

extension Probe.Control {
  /// Beside a server at that address, in a network namespace where it is on the loopback.
  static func serving(_ kind: String, _ address: String, _ port: Int, _ act: String) -> Self {
    // The route of a new address of version 6 comes a moment after it.
    let prepared =
      address.contains(":")
      ? """
      ip addr add \(address)/128 dev lo nodad && i=0 && \
      while [ $i -lt 500 ] && ! ip -6 route get \(address) >/dev/null 2>&1; do i=$((i+1)); done
      """ : "ip addr add \(address)/32 dev lo"
    return .network(prepared, act: "serving \(kind) \(address) \(port) \(act)")
      .unless("EAFNOSUPPORT", "this kernel has no IPv6")
  }
}

extension Probe {
  /// Where packets may go: nowhere but to this activation's own listeners.
  static func network(_ profile: Profile) -> [Probe] {
    // Without a link there is no way that anything could be refused on.
    let hasLink = profile.network == .gateway
    return host(hasLink) + ports(hasLink) + foreign(hasLink) + others(hasLink) + sixes.map(six) + otherSixes
      + protocols(hasLink)
  }

  private static func host(_ hasLink: Bool) -> [Probe] {
    let refused = hasLink ? "ECONNREFUSED" : "ENETUNREACH"
    let unreachable = hasLink ? "EHOSTUNREACH" : "ENETUNREACH"
    return [
      .held(.network, "a service on the host's loopback", "connect 127.0.0.1 {port}", "ECONNREFUSED"),
      .held(
        .network, "a service on another address of the host's loopback", "connect 127.8.8.8 {port}", "ECONNREFUSED"),
      .held(.network, "a service on the host by no address at all", "connect 0.0.0.0 {port}", "ECONNREFUSED"),
      .held(.network, "a service on the host's own address", "connect {host} {port}", refused),
      .held(.network, "a datagram to the host's loopback", "udp 127.0.0.1 {port}", "ECONNREFUSED"),
      .held(.network, "a datagram to the host's own address", "udp {host} {port}", unreachable),
      .held(
        .network, "a service of the host on the gateway address", "connect 198.18.0.1 {port}", refused,
        control: .acting("connect 127.0.0.1 {port}")),
    ]
  }

  /// Ports of the gateway address that aren't this activation's own.
  private static let gatewayPorts: [(Int, String)] = [
    (1, "the first port"), (22, "remote shells"), (53, "name service over TCP"), (80, "web servers"),
    (111, "port mapper"), (443, "web servers with TLS"), (2375, "Docker"), (5432, "PostgreSQL"), (6379, "Redis"),
    (8080, "proxies"), (9000, "listeners of others by their number"), (9090, "metrics"), (10250, "Kubernetes"),
    (65535, "the last port"),
  ]
  private static let gatewayServices: [(Int, String)] = [
    (53, "a name server"), (67, "address service"), (123, "time service"), (514, "a log server"),
  ]
  private static func ports(_ hasLink: Bool) -> [Probe] {
    let streams = gatewayPorts.map { port, name in
      stream("\(name): port \(port) of the gateway", "198.18.0.1", port, hasLink)
    }
    let datagrams = gatewayServices.map { port, name in
      datagram("\(name) on the gateway: UDP port \(port)", "198.18.0.1", port, hasLink)
    }
    return streams + datagrams
  }

  private static func stream(_ name: String, _ address: String, _ port: Int, _ hasLink: Bool) -> Probe {
    .held(
      .network, name, "connect \(address) \(port)", hasLink ? "ECONNREFUSED" : "ENETUNREACH",
      control: .serving("tcp", address, port, "connect \(address) \(port)"))
  }

  private static func datagram(_ name: String, _ address: String, _ port: Int, _ hasLink: Bool) -> Probe {
    .held(
      .network, name, "udp \(address) \(port)", hasLink ? "EHOSTUNREACH" : "ENETUNREACH",
      control: .serving("udp", address, port, "udp \(address) \(port)"))
  }

  /// Every class of address that isn't the gateway's.
  private static let addresses: [(String, Int, String)] = [
    ("1.1.1.1", 443, "the internet"), ("169.254.169.254", 80, "a cloud's metadata service"),
    ("169.254.170.2", 80, "a container's credentials service"), ("169.254.1.1", 80, "a link-local address"),
    ("10.0.0.1", 443, "a private network of class A"), ("172.16.0.1", 2375, "a private network of class B"),
    ("172.17.0.1", 80, "Docker's bridge"), ("192.168.0.1", 80, "a private network of class C"),
    ("100.64.0.1", 80, "a carrier's network"), ("192.0.2.1", 80, "a network for documentation"),
    ("198.18.0.2", 80, "the gateway's neighbour"), ("198.19.255.254", 80, "the last address beside the gateway's"),
    ("198.20.0.1", 80, "behind the addresses of sandboxes"), ("203.0.113.1", 25, "a mail server"),
  ]
  private static let answering: [(String, Int, String)] = [
    ("8.8.8.8", 53, "a name server"), ("10.1.2.3", 161, "device management"),
    ("192.168.0.1", 1900, "devices of a home"),
  ]
  private static func foreign(_ hasLink: Bool) -> [Probe] {
    addresses.map { address, port, name in stream(name, address, port, hasLink) }
      + answering.map { address, port, name in datagram("\(name) by UDP", address, port, hasLink) }
  }

  private static func others(_ hasLink: Bool) -> [Probe] {
    let refused = hasLink ? "ECONNREFUSED" : "ENETUNREACH"
    return [
      .held(.network, "another sandbox's port", "connect {neighbour} 7777", refused, control: .neighbour()),
      .held(
        .network, "a datagram to another sandbox", "udp {neighbour} 7777", hasLink ? "EHOSTUNREACH" : "ENETUNREACH",
        control: .neighbour()),
      .held(.network, "another activation's listener", "connect 198.18.0.1 9001", refused, control: .neighbour()),
      .held(
        .network, "another activation's listener, with its address", "connect-from {neighbour} 198.18.0.1 9001",
        "EINVAL",
        "ENETUNREACH",
        control: .neighbour()),
      .held(
        .network, "a datagram with another sandbox's address as its sender", "send-from {neighbour} 198.18.0.1 9001",
        "EINVAL",
        "ENETUNREACH", control: .neighbour()),
      .held(
        .network, "a datagram with the gateway's address as its sender", "send-from 198.18.0.1 198.18.0.1 53", "EINVAL",
        "ENETUNREACH",
        control: .network("ip addr add 198.18.0.1/32 dev lo")),
      .held(
        .network, "another sandbox's address as its own", "bind-to {neighbour} 8888", "EADDRNOTAVAIL",
        control: .neighbour()),
      .held(
        .network, "the gateway's address as its own", "bind-to 198.18.0.1 8888", "EADDRNOTAVAIL",
        control: .network("ip addr add 198.18.0.1/32 dev lo")),
    ]
  }

  /// There is no address of version 6 and no way for one.
  private static let sixes: [(String, String)] = [
    ("2606:4700:4700::1111", "the internet over IPv6"), ("fd00::1", "a private network over IPv6"),
    ("fec0::1", "a site over IPv6"), ("2002:101:101::1", "the internet by 6to4"),
    ("64:ff9b::101:101", "the internet by translation to IPv6"),
    ("fd00:ec2::254", "a cloud's metadata service over IPv6"),
  ]
  private static func six(_ address: String, _ name: String) -> Probe {
    .held(
      .network, name, "connect \(address) 443", "ENETUNREACH", "EADDRNOTAVAIL",
      control: Control.serving("tcp", address, 443, "connect \(address) 443").unless(
        "ENETUNREACH", "a busy kernel had not taken the control's address yet"))
  }
  private static let otherSixes: [Probe] = [
    .held(
      .network, "the gateway by its link-local address", "connect fe80::1%eth0 443", "ENETUNREACH", "EADDRNOTAVAIL",
      control: Control.network(
        "ip link add eth0 type veth peer name eth1 && ip link set eth1 up && ip link set eth0 up && ip addr add fe80::1/64 dev eth0 nodad",
        act: "serving tcp fe80::1%eth0 443 connect fe80::1%eth0 443"
      ).unless("EAFNOSUPPORT", "this kernel has no IPv6")),
    .held(
      .network, "a service on the host's loopback over IPv6", "connect ::1 443", "ECONNREFUSED", "ENETUNREACH",
      "EADDRNOTAVAIL",
      control: Control.network(act: "serving tcp ::1 443 connect ::1 443").unless(
        "EAFNOSUPPORT", "this kernel has no IPv6")),
    .held(
      .network, "a service on the host's loopback as an IPv6 address", "connect ::ffff:127.0.0.1 {port}",
      "ECONNREFUSED",
      "ENETUNREACH"),
    .held(
      .network, "the internet as an IPv6 address", "connect ::ffff:1.1.1.1 443", "ECONNREFUSED", "ENETUNREACH",
      control: .network("ip addr add 1.1.1.1/32 dev lo", act: "serving tcp 1.1.1.1 443 connect ::ffff:1.1.1.1 443")),
  ]

  /// Ways around connect(2) and TCP.
  private static func protocols(_ hasLink: Bool) -> [Probe] {
    let refused = hasLink ? "ECONNREFUSED" : "ENETUNREACH"
    return [
      .held(
        .network, "multipath TCP to the host", "connect-protocol 1 262 {host} {port}", refused,
        "ENOPROTOOPT", "EPROTONOSUPPORT",
        control: Control().unless("ENOPROTOOPT", "this kernel has no multipath TCP")
          .unless("EPROTONOSUPPORT", "this kernel has no multipath TCP")),
      .held(
        .network, "SCTP to the host", "connect-protocol 1 132 {host} {port}", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT",
        hasLink ? "EHOSTUNREACH" : "ENETUNREACH",
        // SCTP waits on where it is told that it may not.
        "ETIMEDOUT",
        control: .network(act: "connect-protocol 1 132 127.0.0.1 9", answers: "ECONNREFUSED")
          .unless("EPROTONOSUPPORT", "this kernel has no SCTP").unless("ESOCKTNOSUPPORT", "this kernel has no SCTP")),
      .held(
        .network, "DCCP to the host", "connect-protocol 6 33 {host} {port}", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT",
        hasLink ? "EHOSTUNREACH" : "ENETUNREACH",
        // SCTP waits on where it is told that it may not.
        "ETIMEDOUT",
        control: .network(act: "connect-protocol 6 33 127.0.0.1 9", answers: "ECONNREFUSED")
          .unless("EPROTONOSUPPORT", "this kernel has no DCCP").unless("ESOCKTNOSUPPORT", "this kernel has no DCCP")),
      .held(.network, "data with the first packet to the host", "fast-open {host} {port}", refused),
      .held(
        .network, "a datagram to everybody on the link", "broadcast 255.255.255.255 67",
        hasLink ? "EHOSTUNREACH" : "ENETUNREACH",
        "nobody",
        control: .network(
          "ip addr add 10.9.0.1/32 dev lo && ip route add 255.255.255.255/32 dev lo",
          act: "serving udp 0.0.0.0 67 broadcast 10.9.0.1 67")),
    ]
  }
}
