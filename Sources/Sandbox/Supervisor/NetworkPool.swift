import CLinux
import Glibc
import Linux
import Synchronization

/// A network namespace with its link to the gateway, used once.
struct NetworkSlot: Sendable {
  var link: VirtualLink
  var namespace: Descriptor
}

/// Makes network namespaces ahead of time: making one takes longer than all the rest of a sandbox.
final class NetworkPool: Sendable {
  /// The gateway's namespace, which is the supervisor's.
  let home: Descriptor
  private let links: Mutex<NetlinkSocket>
  private let ready = Mutex<[NetworkSlot]>([])
  private let counter = Atomic<UInt32>(0)
  /// Making takes the kernel's one lock of links several times: two at once would only spin for it.
  private let making = Mutex<Void>(())
  private let depth: Int
  private let refill: (read: Descriptor, write: Descriptor)
  let filter: PacketFilter
  let gateway: IPv4Address

  /// 198.18.0.0/15 is set aside for test networks (RFC 2544): no real service has these addresses.
  private static let firstInside: UInt32 = 0xC612_0100
  private static let insideCount: UInt32 = 0x1_FE00

  /// Makes the calling process's network namespace the gateway's. It must be one of its own.
  init(depth: Int) throws(LinuxError) {
    guard let gateway = IPv4Address(gatewayAddress) else {
      throw LinuxError("gateway address", gatewayAddress, code: EINVAL)
    }
    self.gateway = gateway
    self.depth = depth
    try Faults.point("serve gateway")
    home = try NetworkNamespace.current()
    try NetworkNamespace.serveGateway(at: gateway)
    try Faults.point("install packet filter")
    filter = try PacketFilter()
    links = Mutex(try NetlinkSocket.route())
    refill = try makePipe()
  }

  /// A fresh namespace, from the pool or made now.
  func take() throws(LinuxError) -> NetworkSlot {
    let (slot, left) = ready.withLock { ($0.popLast(), $0.count) }
    // Making the next one now would take a processor and the kernel's lock of links from the sandbox that is being made.
    if left <= depth / 2 { fillUp() }
    if let slot { return slot }
    return try making.withLock { (_) throws(LinuxError) in
      // Somebody may have filled the pool while we waited for our turn.
      if let slot = ready.withLock({ $0.popLast() }) { return slot }
      // Addresses come round after 130,560 sandboxes; one that still lives keeps its own (EEXIST).
      for _ in 0..<8 {
        do throws(LinuxError) { return try make() } catch  where error.code == EEXIST {}
      }
      return try make()
    }
  }

  /// A namespace from which nothing can be reached.
  func unwired() throws(LinuxError) -> Descriptor { try NetworkNamespace.makeUnwired(home: home) }

  /// Keeps the pool full; the body of a thread of its own.
  func keepFilled(report: @Sendable (LinuxError) -> Void) {
    while true {
      while ready.withLock({ $0.count }) < depth {
        do throws(LinuxError) {
          let slot = try making.withLock { (_) throws(LinuxError) in try make() }
          ready.withLock { $0.append(slot) }
        } catch {
          report(error)
          break
        }
      }
      var byte: UInt8 = 0
      if read(refill.read.number, &byte, 1) <= 0 { return }
    }
  }

  /// Has what was taken made anew: a sandbox is over, and nobody waits for it any more.
  func fillUp() {
    if depth == 0 { return }
    var byte: UInt8 = 1
    _ = withExtendedLifetime(refill.write) { write($0.number, &byte, 1) }
  }

  private func make() throws(LinuxError) -> NetworkSlot {
    let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
    let link = VirtualLink(
      name: "bb\(number)", index: 100 + number, inside: IPv4Address(Self.firstInside + number % Self.insideCount),
      gateway: gateway)
    // Home's socket is shared; the visit itself is this thread's own.
    try Faults.point("make network namespace")
    let namespace = try NetworkNamespace.make(wired: link, home: home)
    try Faults.point("connect link")
    try links.withLock { (socket) throws(LinuxError) in try NetworkNamespace.connect(link, through: socket) }
    return NetworkSlot(link: link, namespace: namespace)
  }
}
