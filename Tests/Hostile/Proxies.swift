import Addresses
import Gateway
import HTTPServer
import Sandbox
import Synchronization

/// The forward proxies of the suite: for each sandbox that asks one, two on its own gateway address, as a runner serves
/// them to sidecars; and one for controls that checks nothing.
final class Proxies: Sendable {
  /// Lets through what the catalogue of a strict operator names.
  static let strict = SandboxRequest.Listener(name: "strict", port: 3128)
  /// Lets every host and port through, so that only the look at the address is left.
  static let wide = SandboxRequest.Listener(name: "wide", port: 3129)
  static let listeners = [strict, wide]

  /// A host that an operator has allowed although its address is not of the public Internet.
  static let allowed = "127.0.0.77"
  let openPort: Int
  private let open: ForwardProxy
  private let hosts: [String]
  private let names: [String: [[String]]]

  /// - Parameters:
  ///   - port: where the host's services answer.
  ///   - host: the host's own address.
  init(port: UInt16, host: String) async throws {
    hosts = ["allowed.test:\(port)", "*.below.test:\(port)"]
    // What each look-up of a name answers, over and over.
    names = [
      "allowed.test": [[Self.allowed]], "x.below.test": [[Self.allowed]], "below.test": [[Self.allowed]],
      "unlisted.test": [[Self.allowed]], "notallowed.test": [[Self.allowed]],
      "allowed.test.other.test": [[Self.allowed]],
      "inside.test": [["127.0.0.1"]], "six.test": [["::1"]], "mapped.test": [["::ffff:127.0.0.1"]],
      "host.test": [[host]],
      "both.test": [["127.0.0.1", Self.allowed]], "flip.test": [[Self.allowed], ["127.0.0.1"]],
      "metadata.test": [["169.254.169.254"]],
    ]
    var options = ForwardProxy.Options()
    options.resolver = Self.resolver(names)
    (open, openPort) = try await ForwardProxy.start(
      at: .tcp(host: "127.0.0.1", port: 0),
      policy: ProxyPolicy(
        hosts: ["*:*"].compactMap { HostRule($0) },
        privateAddresses: ["0.0.0.0/0", "::/0"].compactMap { AddressBlock($0) }),
      options: options)
  }

  /// Knows the names; what it doesn't know, it asks the host's resolver, which takes the old spellings of addresses.
  private static func resolver(_ names: [String: [[String]]]) -> Resolver {
    final class Counts: Sendable { let counts = Mutex<[String: Int]>([:]) }
    let asked = Counts()
    return Resolver { name, tell in
      guard let answers = names[name] else {
        guard let host = HostPort(name, defaultPort: 1) else { return tell([]) }
        return Resolver.system.addresses(of: host, tell)
      }
      let turn = asked.counts.withLock { counts in
        counts[name, default: -1] += 1
        return counts[name, default: 0]
      }
      tell(answers[turn % answers.count].compactMap { IPAddress($0) })
    }
  }

  /// The ways out of one sandbox.
  func makeWays() -> Ways { Ways(hosts: hosts, names: names) }

  func stop() async { await open.stop() }

  final class Ways: Sendable {
    private let hosts: [String]
    private let names: [String: [[String]]]
    private let proxies = Mutex<[ForwardProxy]>([])

    fileprivate init(hosts: [String], names: [String: [[String]]]) { (self.hosts, self.names) = (hosts, names) }

    func serve(_ listeners: [String: Int32]) async throws {
      for (name, rules) in [(Proxies.strict.name, hosts), (Proxies.wide.name, ["*:*"])] {
        guard let descriptor = listeners[name] else { continue }
        var options = ForwardProxy.Options()
        options.resolver = Proxies.resolver(names)
        let (proxy, _) = try await ForwardProxy.start(
          at: .listener(descriptor: descriptor),
          policy: ProxyPolicy(
            hosts: rules.compactMap { HostRule($0) },
            privateAddresses: [Proxies.allowed].compactMap { AddressBlock($0) }),
          options: options)
        proxies.withLock { $0.append(proxy) }
      }
    }

    func stop() async {
      for proxy in proxies.withLock({ $0 }) { await proxy.stop() }
    }
  }
}
