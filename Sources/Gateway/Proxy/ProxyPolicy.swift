import Addresses

/// What a server may reach through the runner's proxy. Pure.
public struct ProxyPolicy: Sendable {
  /// Host and port as the catalogue lists them.
  public var hosts: [HostRule]
  /// Addresses that aren't of the public Internet and may be reached all the same.
  public var privateAddresses: [AddressBlock]

  /// A policy of the catalogue's lines.
  public init(hosts: [HostRule], privateAddresses: [AddressBlock] = []) {
    self.hosts = hosts
    self.privateAddresses = privateAddresses
  }

  /// Why a name and port may not even be looked up; nil where they may.
  public func refusal(of wanted: HostPort) -> ProxyRefusal? {
    hosts.contains { $0.admits(wanted) } ? nil : .notListed(wanted)
  }

  /// Why an address that a name stands for may not be connected to; nil where it may.
  /// - Parameter own: addresses of this host, whatever kind they are.
  public func refusal(of address: IPAddress, own: Set<IPAddress>) -> ProxyRefusal? {
    let reached = address.reached
    if privateAddresses.contains(where: { $0.contains(address) || $0.contains(reached) }) { return nil }
    if own.contains(reached) || own.contains(address) { return .ownAddress(address) }
    let kind = AddressClass(address)
    return kind == .publicHost ? nil : .address(address, kind)
  }

  /// Of the addresses that a name stands for now, those that may be connected to, or why there are none.
  public func permitted(_ addresses: [IPAddress], own: Set<IPAddress>) -> Result<[IPAddress], ProxyRefusal> {
    var first: ProxyRefusal?
    var permitted: [IPAddress] = []
    for address in addresses {
      if let refusal = refusal(of: address, own: own) {
        first = first ?? refusal
      } else {
        permitted.append(address)
      }
    }
    if !permitted.isEmpty { return .success(permitted) }
    return .failure(first ?? .unknownName)
  }
}

/// Why the proxy doesn't connect.
public enum ProxyRefusal: Error, Sendable, Hashable, CustomStringConvertible {
  /// The catalogue doesn't list host and port.
  case notListed(HostPort)
  /// The name stands for an address that isn't of the public Internet.
  case address(IPAddress, AddressClass)
  /// The name stands for an address of this host.
  case ownAddress(IPAddress)
  /// Nobody knows the name.
  case unknownName
  /// The request isn't one that a proxy takes.
  case badRequest(String)
  /// Nobody answered at any of the addresses.
  case unreachable
  /// A limit of this activation.
  case overLimit(String)

  /// The status that the server's client reads.
  var status: Int {
    switch self {
    case .notListed, .address, .ownAddress: 403
    case .badRequest: 400
    case .unknownName, .unreachable: 502
    case .overLimit: 429
    }
  }

  /// One word, for metrics.
  public var word: String {
    switch self {
    case .notListed: "not_listed"
    case .address: "address"
    case .ownAddress: "own_address"
    case .unknownName: "unknown_name"
    case .badRequest: "bad_request"
    case .unreachable: "unreachable"
    case .overLimit: "over_limit"
    }
  }

  /// One sentence. It names no address that wasn't asked for: what a name stands for here is nothing for a sidecar.
  public var description: String {
    switch self {
    case .notListed(let wanted):
      "\(wanted) is not among the hosts that this server may reach; the operator can list it in 'hosts' of mcp-servers.yaml"
    case .address(_, let kind):
      "the host has a \(kind.rawValue) address, which is refused; the operator can list it in 'private_addresses'"
    case .ownAddress: "the host has an address of the machine that this server runs on, which is refused"
    case .unknownName: "the host's name can't be resolved"
    case .badRequest(let reason): reason
    case .unreachable: "the host does not answer"
    case .overLimit(let limit): "this server has reached its limit of \(limit)"
    }
  }
}
