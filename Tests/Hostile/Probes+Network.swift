extension Probe {
  static var sockets: [Probe] {
    kinds + netlinks.map(netlink) + domains.map(domain)
  }

  private static let kinds: [Probe] = [
    // Filter and missing capability each refuse some; the errno tells which wall was met first.
    .held(.network, "raw IPv4", "socket 2 3 1", "EPERM"),
    .held(
      .network, "raw IPv6", "socket 10 3 58", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no IPv6")),
    .held(
      .network, "ping", "socket 2 2 1", "EACCES",
      control: .network("echo 0 0 >/proc/sys/net/ipv4/ping_group_range")),
    .held(.network, "packet", "socket 17 3 0x300", "EPERM"),
    .held(.network, "route netlink", "socket 16 3 0", "EPERM"),
    .held(.network, "netfilter netlink", "socket 16 3 12", "EPERM"),
    .held(.network, "netlink by a number of more than 32 bits", "socket 0x100000010 3 0", "EPERM"),
    .held(.network, "packet by a number of more than 32 bits", "socket 0x100000011 3 0x300", "EPERM"),
    .held(
      .network, "vsock", "socket 40 1 0", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no vsock")),
    .held(
      .network, "kernel cryptography", "socket 38 5 0", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no AF_ALG")),
    .held(
      .network, "bluetooth", "socket 31 3 1", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no bluetooth")),
    .held(.network, "a netlink pair", "socketpair 16", "EPERM", control: .answers("EOPNOTSUPP", "ESOCKTNOSUPPORT")),
    .held(.network, "transparent addresses", "transparent", "EPERM"),
    .held(.network, "packet marks", "setsockopt 1 36", "EPERM"),
    .held(.network, "a receive buffer above the limit", "setsockopt 1 33", "EPERM"),
    .held(
      .network, "packet filters by setsockopt", "setsockopt 0 64", "EPERM", "ENOPROTOOPT",
      control: Control.answers("EINVAL", "EFAULT").unless("ENOPROTOOPT", "this kernel has no iptables")),
    .held(.network, "an interface's flags", "set-network flags", "EPERM", control: .network()),
    .held(.network, "an interface's address", "set-network address", "EPERM", control: .network()),
    .held(.network, "a route", "set-network route", "EPERM", control: .network()),
    .held(
      .network, "an entry of the address table (ARP)", "set-network arp", "EPERM", control: .network(answers: "EINVAL")),
    .held(.network, "an interface's packet size", "set-network mtu", "EPERM", control: .network()),
    .held(.network, "an interface's queue", "set-network queue", "EPERM", control: .network()),
    .held(
      .network, "a bridge", "set-network bridge", "EPERM",
      control: Control.network().unless("ENOPKG", "this kernel has no bridges").unless(
        "EINVAL", "this kernel has no bridges"
      ).unless("ENOTTY", "this kernel has no bridges")),
    .held(.network, "pressing packets", "setsockopt 1 12", "EPERM"),
    .held(
      .network, "another's TCP state (TCP_REPAIR)", "setsockopt 6 19", "EPERM",
      control: Control.answers("ok", "EINVAL")),
    .held(.network, "a send buffer above the limit", "setsockopt 1 32", "EPERM"),
    .held(
      .network, "packet filters of IPv6 by setsockopt", "setsockopt 41 64", "EPERM", "ENOPROTOOPT",
      control: Control.answers("EINVAL", "EFAULT").unless("ENOPROTOOPT", "this kernel has no ip6tables").unless(
        "EAFNOSUPPORT", "this kernel has no IPv6")),
    .held(.network, "a privileged port", "bind-to 0.0.0.0 80", "EACCES", control: .network()),
  ]

  private static let netlinks: [(Int, String)] = [
    (1, "unused"), (2, "user-defined"), (4, "socket diagnosis"), (6, "encryption of packets"), (9, "audit"),
    (11, "connector"), (15, "device events"), (16, "generic"), (20, "RDMA"), (21, "cryptography"),
  ]
  private static func netlink(_ number: Int, _ name: String) -> Probe {
    let control = Control().unless("EPROTONOSUPPORT", "this kernel has no netlink of that kind")
      .unless("EPERM", "this machine's root may not")
    return .held(.network, "\(name) netlink", "socket 16 3 \(number)", "EPERM", control: control)
  }

  /// Domain, the type of socket that it has, name.
  private static let domains: [(Int, Int, String)] = [
    (3, 2, "amateur radio"), (4, 2, "IPX"), (5, 2, "AppleTalk"), (9, 1, "X.25"), (15, 3, "PF_KEY"), (21, 2, "RDS"),
    (29, 2, "CAN"), (30, 2, "TIPC"), (35, 2, "phonet"), (36, 2, "IEEE 802.15.4"), (39, 2, "NFC"),
    (41, 2, "kernel connections"), (42, 2, "IPC router"), (43, 1, "SMC"), (44, 3, "XDP"), (45, 2, "MCTP"),
  ]
  private static func domain(_ domain: Int, _ type: Int, _ name: String) -> Probe {
    let control = Control().unless("EAFNOSUPPORT", "this kernel has no sockets of \(name)")
      .unless("EPROTONOSUPPORT", "this kernel has no such sockets of \(name)")
      .unless("ESOCKTNOSUPPORT", "this kernel has no such sockets of \(name)")
    return .held(.network, "sockets of \(name)", "socket \(domain) \(type) 0", "EPERM", control: control)
  }
}
