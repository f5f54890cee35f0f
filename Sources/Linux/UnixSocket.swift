import CLinux
import Glibc

/// A SEQPACKET Unix socket (unix(7)): whole packets, each with descriptors.
public struct PacketSocket: Sendable {
  /// The socket itself, for poll(2).
  public let descriptor: Descriptor
  /// Largest packet; longer texts travel as sealed memfds.
  public static let packetLimit = 128 << 10

  /// Wraps a connected socket.
  public init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// A connected pair.
  public static func pair() throws(LinuxError) -> (PacketSocket, PacketSocket) {
    var ends: [Int32] = [-1, -1]
    try check(cl_seqpacket_pair(&ends), "socketpair", "AF_UNIX")
    return (PacketSocket(Descriptor(owning: ends[0])), PacketSocket(Descriptor(owning: ends[1])))
  }

  /// Connects to a listening socket.
  public static func connect(to path: String) throws(LinuxError) -> PacketSocket {
    let socket = Descriptor(owning: try check(cl_unix_socket(seqpacket), "socket", "AF_UNIX"))
    let result = try withUnixAddress(path) { Glibc.connect(socket.number, $0, $1) }
    try check(result, "connect", path)
    return PacketSocket(socket)
  }

  /// Sends one packet; the receiver gets copies of the descriptors. With `waits` false a full queue is EAGAIN.
  public func send(_ bytes: [UInt8], descriptors: [Descriptor] = [], waits: Bool = true) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    let sent = withExtendedLifetime(descriptors) {
      let numbers = descriptors.map(\.number)
      return bytes.withUnsafeBytes {
        cl_send_packet(
          descriptor.number, $0.baseAddress, $0.count, numbers, Int32(numbers.count), waits ? 1 : 0)
      }
    }
    try check(sent, "sendmsg", "packet of \(bytes.count) bytes")
  }

  /// Waits for one packet; nil when the other end is gone. A larger one, or one with more descriptors, is EMSGSIZE.
  public func receive(
    limit: Int = Self.packetLimit, descriptors: Int = 250
  ) throws(LinuxError) -> (bytes: [UInt8], descriptors: [Descriptor])? {
    defer { withExtendedLifetime(descriptor) {} }
    // The other end may have closed with a packet of ours unread. That is told first, and once; its last words still lie
    // here.
    func afterReset(_ receive: () -> Int) -> Int {
      let length = receive()
      return length < 0 && errno == ECONNRESET ? receive() : length
    }
    // Its length first: room for the largest packet is a mapping of its own, made and unmade each time.
    let size = afterReset {
      var size: Int
      repeat {
        size = recv(descriptor.number, nil, 0, Int32(MSG_PEEK) | Int32(MSG_TRUNC))
      } while size < 0 && errno == EINTR
      return size
    }
    if size < 0 && errno == ECONNRESET { return nil }
    try check(size, "recv MSG_PEEK", "")
    var bytes = [UInt8](repeating: 0, count: max(1, min(size, limit)))
    var numbers = [Int32](repeating: -1, count: descriptors)
    var count = Int32(numbers.count)
    let length = afterReset {
      count = Int32(numbers.count)
      return bytes.withUnsafeMutableBytes {
        cl_receive_packet(descriptor.number, $0.baseAddress, $0.count, &numbers, &count)
      }
    }
    if length < 0 && errno == ECONNRESET { return nil }
    try check(length, "recvmsg", "")
    let descriptors = numbers[..<Int(count)].map { Descriptor(owning: $0) }
    if length == 0 && descriptors.isEmpty { return nil }
    bytes.removeLast(bytes.count - length)
    return (bytes, descriptors)
  }

  /// Who made the other end (SO_PEERCRED).
  public func peer() throws(LinuxError) -> (pid: pid_t, uid: uid_t, gid: gid_t) {
    defer { withExtendedLifetime(descriptor) {} }
    var (pid, uid, gid): (pid_t, uid_t, gid_t) = (0, 0, 0)
    try check(cl_peer(descriptor.number, &pid, &uid, &gid), "getsockopt SO_PEERCRED", "")
    return (pid, uid, gid)
  }
}

/// A listening SEQPACKET socket with a name in the file system.
public struct PacketListener: Sendable {
  /// The socket itself, for poll(2).
  public let descriptor: Descriptor

  /// Adopts a socket that systemd (or a parent) opened.
  public init(adopting descriptor: Descriptor) { self.descriptor = descriptor }

  /// Listens at `path`, in place of a socket file that a dead process left there.
  public init(at path: String, mode: mode_t, owner: uid_t, group: gid_t) throws(LinuxError) {
    let socket = Descriptor(owning: try check(cl_unix_socket(seqpacket), "socket", "AF_UNIX"))
    if (try? PacketSocket.connect(to: path)) != nil {
      throw LinuxError("bind", path, code: EADDRINUSE, advice: "another supervisor serves this socket")
    }
    unlink(path)
    try check(try withUnixAddress(path) { bind(socket.number, $0, $1) }, "bind", path)
    try check(chown(path, owner, group), "chown", path)
    try check(chmod(path, mode), "chmod", path)
    try check(listen(socket.number, 512), "listen", path)
    descriptor = socket
  }

  /// Waits for one connection.
  public func accept() throws(LinuxError) -> PacketSocket {
    defer { withExtendedLifetime(descriptor) {} }
    return PacketSocket(Descriptor(owning: try check(cl_accept(descriptor.number), "accept", "")))
  }
}

/// Unix sockets of whatever type.
public enum UnixSocket {
  /// Whether somebody listens at a path, on a stream or a SEQPACKET socket.
  public static func accepts(_ path: String) -> Bool {
    for type in [Int32(SOCK_STREAM.rawValue), seqpacket] {
      let socket = Descriptor(owning: cl_unix_socket(type))
      defer { withExtendedLifetime(socket) {} }
      // connect(2) to a socket of the other type is EPROTOTYPE.
      if let answer = try? withUnixAddress(path, { Glibc.connect(socket.number, $0, $1) }), answer == 0 { return true }
    }
    return false
  }
}

private let seqpacket = Int32(SOCK_SEQPACKET.rawValue)

private func withUnixAddress<Result>(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) throws(LinuxError) -> Result {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  // One byte stays for the NUL.
  if bytes.count >= MemoryLayout.size(ofValue: address.sun_path) {
    throw LinuxError("socket address", path, code: ENAMETOOLONG, advice: "choose a path of at most 107 bytes")
  }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
  }
}
