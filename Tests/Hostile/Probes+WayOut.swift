import Sandbox

extension Probe {
  /// The forward proxy of a sidecar: what it lets through, and what nobody gets out of it. Of the profile that runners give
  /// to tool servers; no other sandbox has a proxy.
  static func wayOut(_ profile: Profile) -> [Probe] {
    guard profile.name == "sidecar", profile.network == .gateway else { return [] }
    return allowed + unlisted + inside + flipping + elsewhere + tricks + withoutProxy
  }

  private static let reached = "200 hello \(Proxies.allowed)"
  private static let notListed = "403 not among the hosts that this server may reach"
  private static let own = "403 the host has an address of the machine that this server runs on"
  private static func kind(_ name: String) -> String { "403 the host has a \(name) address" }

  /// The words of an act that sends texts to a proxy, a connection each.
  private static func asking(_ proxy: String, _ texts: [String]) -> String {
    (["through", proxy] + texts.map(escaped)).joined(separator: " ")
  }
  private static func connect(_ target: String) -> String { "CONNECT \(target) HTTP/1.1\r\n\r\n" }
  /// One word of printable characters.
  private static func escaped(_ text: String) -> String {
    text.utf8.reduce(into: "") { word, byte in
      if byte > 32, byte < 127, byte != UInt8(ascii: "%") {
        word.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        word += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
  }
  private static func gateway(_ listener: SandboxRequest.Listener) -> String { "198.18.0.1 \(listener.port)" }
  private static let openProxy = "127.0.0.1 {open-proxy}"

  /// The same texts to a proxy that checks nothing; or others, that say plainly what those hide.
  private static func held(
    _ name: String, _ listener: SandboxRequest.Listener, _ texts: [String], _ inside: String...,
    openly: [String]? = nil, answers outside: String...
  ) -> Probe {
    Probe(
      category: .wayOut, name: name, act: words(asking(gateway(listener), texts)), inside: inside,
      control: Control(act: words(asking(openProxy, openly ?? texts)), outside: outside))
  }

  private static let allowed: [Probe] = [
    ("an allowed host", connect("allowed.test:{port}"), reached),
    ("an allowed host in capitals, with its last dot", connect("ALLOWED.test.:{port}"), reached),
    ("a host below an allowed name", connect("x.below.test:{port}"), reached),
    ("an allowed host by an http URL", "GET http://allowed.test:{port}/ HTTP/1.1\r\n\r\n", "hello \(Proxies.allowed)"),
  ].map { name, text, answer in .works("\(name), through the proxy", asking(gateway(Proxies.strict), [text]), answer) }

  /// The catalogue names host and port.
  private static let unlisted: [Probe] =
    [
      ("a host that isn't listed", "unlisted.test:{port}"),
      ("a listed host at another port", "allowed.test:{other-port}"),
      ("a listed host by its number", "\(Proxies.allowed):{port}"),
      ("a name that ends like a listed one", "notallowed.test:{port}"),
      ("a name that begins like a listed one", "allowed.test.other.test:{port}"),
      ("the name itself where names below it are listed", "below.test:{port}"),
    ].map { name, target in
      held("\(name), through the proxy", Proxies.strict, [connect(target)], notListed, answers: reached)
    }
    + [
      ("a service on the host's loopback that isn't listed", "127.0.0.1:{port}", "127.0.0.1"),
      ("a name for the host's loopback that isn't listed", "inside.test:{port}", "127.0.0.1"),
    ].map { name, target, address in
      held("\(name), through the proxy", Proxies.strict, [connect(target)], notListed, answers: "200 hello \(address)")
    }

  /// Where every host is listed, the address is what is left to look at.
  private static let inside: [Probe] =
    [
      ("the host's loopback by its number", "127.0.0.1", own, "127.0.0.1"),
      ("another address of the host's loopback", "127.8.8.8", kind("loopback"), "127.8.8.8"),
      ("the host by no address at all", "0.0.0.0", kind("unspecified"), "127.0.0.1"),
      ("the host's loopback as localhost", "localhost", own, "127.0.0.1"),
      ("a name for the host's loopback", "inside.test", own, "127.0.0.1"),
      ("the host's loopback in two parts", "127.1", own, "127.0.0.1"),
      ("the host's loopback as one number", "2130706433", own, "127.0.0.1"),
      ("the host's loopback in hexadecimal", "0x7f000001", own, "127.0.0.1"),
      ("the host's loopback in octal", "0177.0.0.1", own, "127.0.0.1"),
      ("the host's loopback as an IPv6 address", "[::ffff:127.0.0.1]", own, "127.0.0.1"),
      ("the host's loopback as an IPv6 address in hexadecimal", "[::ffff:7f00:1]", own, "127.0.0.1"),
      ("a name for the host's loopback as an IPv6 address", "mapped.test", own, "127.0.0.1"),
      ("the host's own address by its number", "{host}", own, "{host}"),
      ("a name for the host's own address", "host.test", own, "{host}"),
    ].map { name, host, answer, address in
      held(
        "\(name), through a proxy that lists every host", Proxies.wide, [connect("\(host):{port}")], answer,
        answers: "200 hello \(address)")
    } + [
      held(
        "another port of the host's loopback, through a proxy that lists every host", Proxies.wide,
        [connect("127.0.0.1:{other-port}")], own, answers: "200 hello 127.0.0.1"),
      // The host's services there speak no IPv6: that somebody looks for them is what shows.
      held(
        "the host's loopback over IPv6, through a proxy that lists every host", Proxies.wide, [connect("[::1]:{port}")],
        own, kind("loopback"), answers: "502 the host does not answer"),
      held(
        "a name for the host's loopback over IPv6, through a proxy that lists every host", Proxies.wide,
        [connect("six.test:{port}")], own, kind("loopback"), answers: "502 the host does not answer"),
    ]

  /// Names whose addresses change, or are several.
  private static let flipping: [Probe] = [
    held(
      "a name that flips on the second look-up, through the proxy", Proxies.wide,
      [connect("flip.test:{port}"), connect("flip.test:{port}")], "\(reached), \(own)",
      answers: "\(reached), 200 hello 127.0.0.1"),
    held(
      "a name with the host's address before an allowed one, through the proxy", Proxies.wide,
      [connect("both.test:{port}")], reached, answers: "200 hello 127.0.0.1"),
  ]

  /// Places that aren't the host's, nor of the public Internet.
  private static let elsewhere: [Probe] =
    [
      ("a cloud's metadata service", "169.254.169.254", 80, "link-local"),
      ("a container's credentials service", "169.254.170.2", 80, "link-local"),
      ("a private network of class A", "10.0.0.5", 443, "private"),
      ("a private network of class B", "172.17.0.1", 2375, "private"),
      ("a private network of class C", "192.168.0.1", 80, "private"),
      ("a carrier's network", "100.64.0.1", 80, "carrier-nat"),
      ("a cloud's own service at a public address", "168.63.129.16", 80, "platform"),
    ].map { name, address, port, place in
      Probe(
        category: .wayOut, name: "\(name), through a proxy that lists every host",
        act: words(asking(gateway(Proxies.wide), [connect("\(address):\(port)")])), inside: [kind(place)],
        control: .serving("tcp", address, port, "connect \(address) \(port)"))
    } + [
      Probe(
        category: .wayOut, name: "a name for a cloud's metadata service, through a proxy that lists every host",
        act: words(asking(gateway(Proxies.wide), [connect("metadata.test:80")])), inside: [kind("link-local")],
        control: .serving("tcp", "169.254.169.254", 80, "connect 169.254.169.254 80")),
      Probe(
        category: .wayOut, name: "another sandbox, through a proxy that lists every host",
        act: words(asking(gateway(Proxies.wide), [connect("{neighbour}:7777")])), inside: [kind("benchmark")],
        control: .neighbour("connect {neighbour} 7777")),
      Probe(
        category: .wayOut, name: "another activation's listener, through a proxy that lists every host",
        act: words(asking(gateway(Proxies.wide), [connect("198.18.0.1:9001")])), inside: [kind("benchmark")],
        control: .neighbour("connect 198.18.0.1 9001")),
    ]

  /// Requests that are read in two ways: the control asks plainly for what they hide.
  private static let tricks: [Probe] = [
    ("CONNECT with a user's name", [connect("allowed.test@127.0.0.1:{port}")], takesConnect),
    ("CONNECT with two hosts", [connect("allowed.test:{port}@127.0.0.1:{port}")], takesConnect),
    ("CONNECT with a zone", [connect("[::1%lo]:{port}")], takesConnect),
    ("CONNECT with full stops of another script", [connect("127。0。0。1:{port}")], takesConnect),
    ("CONNECT with two targets", [connect("allowed.test:{port} 127.0.0.1:{port}")], notHTTP),
    (
      "CONNECT with a zero byte in the name", [connect("127.0.0.1\0.allowed.test:{port}")],
      "400 not text"
    ),
    (
      "CONNECT behind a line's half end",
      ["CONNECT allowed.test:{port} HTTP/1.1\nCONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"],
      "400 a line of the request's head has no proper end"
    ),
    (
      "CONNECT behind a CONNECT", [connect("allowed.test:{port}") + connect("127.0.0.1:{port}")], reached
    ),
    ("a URL with a user's name", [get("http://allowed.test@127.0.0.1:{port}/")], "400 the URL's host can't be read"),
    (
      "a URL with a backslash", [get(#"http://127.0.0.1:{port}\@allowed.test:{port}/"#)],
      "400 the URL's host can't be read"
    ),
    ("a URL with a fragment for its host", [get("http://127.0.0.1:{port}#@allowed.test:{port}/")], notListed),
    (
      "a URL of an allowed host with another's Host",
      [get("http://allowed.test:{port}/", "Host: 127.0.0.1:{port}\r\n")],
      "hello \(Proxies.allowed)"
    ),
    (
      "a second URL behind an allowed one", [get("http://allowed.test:{port}/") + get("http://127.0.0.1:{port}/")],
      "hello \(Proxies.allowed)"
    ),
    (
      "a header's second line", [get("http://allowed.test:{port}/", "X: a\r\n Host: 127.0.0.1\r\n")],
      "400 a header of the request can't be read"
    ),
    ("a path with another's Host", [get("/", "Host: 127.0.0.1:{port}\r\n")], takesURLs),
    ("an https URL", [get("https://127.0.0.1:{port}/")], takesURLs),
    ("a gopher URL that speaks to Redis", [get("gopher://127.0.0.1:{port}/_PING")], takesURLs),
    ("a file URL", [get("file:///etc/passwd")], takesURLs),
    ("words for Redis", ["PING\r\n\r\n"], notHTTP),
    ("HTTP/2", ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], notHTTP),
    ("SOCKS 4", ["\u{4}\u{1}\0P\u{7f}\0\0\u{1}\0"], "nothing"),
    ("SOCKS 5", ["\u{5}\u{1}\0"], "nothing"),
  ].map { name, texts, answer in
    held(
      "\(name), said to the proxy", Proxies.strict, texts, answer, openly: [connect("127.0.0.1:{port}")],
      answers: "200 hello 127.0.0.1")
  }
  private static let takesConnect = "400 CONNECT takes host:port"
  private static let takesURLs = "400 this proxy takes CONNECT host:port"
  private static let notHTTP = "400 not a request of HTTP/1.1"
  private static func get(_ url: String, _ headers: String = "") -> String { "GET \(url) HTTP/1.1\r\n\(headers)\r\n" }

  private static let withoutProxy: [Probe] = [
    .held(.wayOut, "an allowed host, not through the proxy", "connect \(Proxies.allowed) {port}", "ECONNREFUSED"),
    .held(
      .wayOut, "a proxy that it wasn't given", "connect 198.18.0.1 3128", "ECONNREFUSED",
      control: .serving("tcp", "198.18.0.1", 3128, "connect 198.18.0.1 3128")),
  ]
}
