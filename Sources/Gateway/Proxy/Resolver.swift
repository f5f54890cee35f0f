import Addresses
import Glibc

/// Looks names up, once for each connection. What it answers is what is connected to: nobody looks again.
public struct Resolver: Sendable {
  private let look: @Sendable (String, @escaping @Sendable ([IPAddress]) -> Void) -> Void

  /// - Parameter look: tells the addresses of a name, none where there are none. May be slow; must answer once.
  public init(_ look: @escaping @Sendable (String, @escaping @Sendable ([IPAddress]) -> Void) -> Void) {
    self.look = look
  }

  /// The host's own resolver (getaddrinfo(3)), on a thread for each name. It takes the old spellings of IPv4 too (`127.1`):
  /// what they stand for is looked at all the same.
  public static let system = Resolver { name, tell in
    let started = startThread {
      tell(addresses(of: name))
    }
    if !started { tell([]) }
  }

  /// Tells a host's addresses: its own where it is one.
  public func addresses(of host: HostPort, _ tell: @escaping @Sendable ([IPAddress]) -> Void) {
    if let address = host.address { return tell([address]) }
    look(host.host, tell)
  }

  private static func addresses(of name: String) -> [IPAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var addresses: [IPAddress] = []
    var entry = list
    while let found = entry?.pointee {
      if let address = found.ai_addr.flatMap({ IPAddress(socketAddress: $0) }), !addresses.contains(address) {
        addresses.append(address)
      }
      entry = found.ai_next
    }
    return addresses
  }
}

/// Addresses of this host's own interfaces, now (getifaddrs(3)).
public func ownAddresses() -> Set<IPAddress> {
  var list: UnsafeMutablePointer<ifaddrs>?
  guard getifaddrs(&list) == 0 else { return [] }
  defer { freeifaddrs(list) }
  var addresses: Set<IPAddress> = []
  var entry = list
  while let found = entry?.pointee {
    if let address = found.ifa_addr.flatMap({ IPAddress(socketAddress: $0) }) { addresses.insert(address.reached) }
    entry = found.ifa_next
  }
  return addresses
}

extension IPAddress {
  /// From sockaddr_in or sockaddr_in6; nil for other families.
  init?(socketAddress: UnsafeMutablePointer<sockaddr>) {
    switch Int32(socketAddress.pointee.sa_family) {
    case AF_INET:
      let bytes = socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) }
      }
      self.init(bytes: bytes)
    case AF_INET6:
      let bytes = socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sin6_addr) { Array($0) }
      }
      self.init(bytes: bytes)
    default: return nil
    }
  }
}

/// Starts a thread that nobody waits for; false where the kernel gives none.
private func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  // Name services are plug-ins of the host's, with stacks that nobody knows: the usual size.
  var thread = pthread_t()
  let box = Unmanaged.passRetained(Box(body))
  let code = pthread_create(
    &thread, &attributes,
    { box in
      if let box { Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body() }
      return nil
    }, box.toOpaque())
  pthread_attr_destroy(&attributes)
  if code != 0 { box.release() }
  return code == 0
}
