extension Probe {
  static let sockets: [Probe] = [
    // Filter and missing capability each refuse some; the errno tells which wall was met first.
    .held(.sockets, "raw IPv4", "socket 2 3 1", "EPERM"),
    .held(
      .sockets, "raw IPv6", "socket 10 3 58", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no IPv6")),
    .held(
      .sockets, "ping", "socket 2 2 1", "EACCES",
      control: .network("echo 0 0 >/proc/sys/net/ipv4/ping_group_range")),
    .held(.sockets, "packet", "socket 17 3 0x300", "EPERM"),
    .held(.sockets, "route netlink", "socket 16 3 0", "EPERM"),
    .held(.sockets, "netfilter netlink", "socket 16 3 12", "EPERM"),
    .held(.sockets, "netlink by a number of more than 32 bits", "socket 0x100000010 3 0", "EPERM"),
    .held(.sockets, "packet by a number of more than 32 bits", "socket 0x100000011 3 0x300", "EPERM"),
    .held(
      .sockets, "vsock", "socket 40 1 0", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no vsock")),
    .held(
      .sockets, "kernel cryptography", "socket 38 5 0", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no AF_ALG")),
    .held(
      .sockets, "bluetooth", "socket 31 3 1", "EPERM",
      control: Control().unless("EAFNOSUPPORT", "this kernel has no bluetooth")),
    .held(.sockets, "a netlink pair", "socketpair 16", "EPERM", control: .answers("EOPNOTSUPP", "ESOCKTNOSUPPORT")),
    .held(.sockets, "transparent addresses", "transparent", "EPERM"),
    .held(.sockets, "packet marks", "setsockopt 1 36", "EPERM"),
    .held(.sockets, "a receive buffer above the limit", "setsockopt 1 33", "EPERM"),
    .held(
      .sockets, "packet filters by setsockopt", "setsockopt 0 64", "EPERM", "ENOPROTOOPT",
      control: Control.answers("EINVAL", "EFAULT").unless("ENOPROTOOPT", "this kernel has no iptables")),
    .held(.sockets, "an interface's flags", "set-network flags", "EPERM", control: .network("true")),
    .held(.sockets, "an interface's address", "set-network address", "EPERM", control: .network("true")),
    .held(.sockets, "a route", "set-network route", "EPERM", control: .network("true")),
  ]

  static let network: [Probe] = [
    .held(.network, "a service on the host's loopback", "connect 127.0.0.1 {port}", "ECONNREFUSED"),
    .held(.network, "a service on the host's own address", "connect {host} {port}", "ECONNREFUSED"),
    .held(
      .network, "a service of the host on the gateway address", "connect 198.18.0.1 {port}", "ECONNREFUSED",
      control: .acting("connect 127.0.0.1 {port}")),
    .held(.network, "another sandbox's port", "connect {neighbour} 7777", "ECONNREFUSED", control: .neighbour),
    .held(.network, "another activation's listener", "connect 198.18.0.1 9001", "ECONNREFUSED", control: .neighbour),
    .held(
      .network, "another activation's listener, with its address", "connect-from {neighbour} 198.18.0.1 9001", "EINVAL",
      "ENETUNREACH",
      control: .neighbour),
    .held(
      .network, "the internet", "connect 1.1.1.1 443", "ECONNREFUSED",
      control: .network("ip addr add 1.1.1.1/32 dev lo", act: "serving tcp 1.1.1.1 443 connect 1.1.1.1 443")),
    .held(
      .network, "a cloud's metadata service", "connect 169.254.169.254 80", "ECONNREFUSED",
      control: .network(
        "ip addr add 169.254.169.254/32 dev lo",
        act: "serving tcp 169.254.169.254 80 connect 169.254.169.254 80")),
    .held(
      .network, "a name server", "udp 8.8.8.8 53", "EHOSTUNREACH",
      control: .network("ip addr add 8.8.8.8/32 dev lo", act: "serving udp 8.8.8.8 53 udp 8.8.8.8 53")),
    .held(
      .network, "a name server on the gateway", "udp 198.18.0.1 53", "EHOSTUNREACH",
      control: .network("ip addr add 198.18.0.1/32 dev lo", act: "serving udp 198.18.0.1 53 udp 198.18.0.1 53")),
    .held(
      .network, "the gateway by its link-local address", "connect fe80::1%eth0 443", "ENETUNREACH", "EADDRNOTAVAIL",
      control: .network(
        "ip link add eth0 type veth peer name eth1 && ip link set eth1 up && ip link set eth0 up && ip addr add fe80::1/64 dev eth0 nodad",
        act: "serving tcp fe80::1%eth0 443 connect fe80::1%eth0 443")),
    .held(
      .network, "the internet over IPv6", "connect 2606:4700:4700::1111 443", "ENETUNREACH", "EADDRNOTAVAIL",
      control: .network(
        "ip addr add 2606:4700:4700::1111/128 dev lo nodad",
        act: "serving tcp 2606:4700:4700::1111 443 connect 2606:4700:4700::1111 443")),
    .held(.network, "an abstract socket of the host", "connect-unix @{token}", "ECONNREFUSED"),
  ]
}
