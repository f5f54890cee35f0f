import Glibc

/// Where a server listens.
public enum ServerAddress: Sendable, Hashable, CustomStringConvertible {
  /// TCP; port 0 takes a free one.
  case tcp(host: String, port: Int)
  /// A Unix stream socket. A socket file that nobody listens on any more is replaced.
  case unix(path: String)
  /// A listening socket made elsewhere and handed over (by systemd, or from another network namespace); the server
  /// closes it. Nothing is asked of its address: the listener itself is the identity.
  case listener(descriptor: Int32)

  /// The address as a person writes it.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    case .listener(let descriptor): "descriptor \(descriptor)"
    }
  }
}

/// A server could not start listening.
public struct HTTPServerError: Error, Sendable, CustomStringConvertible {
  /// The address as asked for.
  public let address: String
  /// The system call that failed.
  public let operation: String
  /// Its errno; 0 where the reason is not the kernel's.
  public let errno: Int32
  /// What to do next.
  public let advice: String

  /// One sentence: what failed and what to do.
  public var description: String {
    let cause = errno == 0 ? "" : ": \(operation): \(String(cString: strerror(errno))) (errno \(errno))"
    return "can't listen on \(address)\(cause): \(advice)"
  }

  init(address: String, operation: String, errno: Int32, advice: String? = nil) {
    self.address = address
    self.operation = operation
    self.errno = errno
    self.advice =
      advice
      ?? {
        switch errno {
        case EADDRINUSE: "stop the program that listens there or choose another address"
        case EACCES, EPERM: "choose a port above 1023 or a directory this user may write to"
        case EADDRNOTAVAIL: "choose an address of this machine"
        case ENOENT: "create the directory first"
        case ENOTSOCK: "hand over a listening socket"
        default: "check the address"
        }
      }()
  }
}

/// A Unix socket's file, remembered by inode so that only our own is removed at the end.
struct SocketFile: Sendable {
  let path: String
  private let device: dev_t
  private let inode: ino_t

  /// Binds, sets the mode, then listens: no client can connect before the mode is right.
  static func listen(path: String, mode: UInt32) throws(HTTPServerError) -> (descriptor: Int32, file: SocketFile) {
    func failed(_ operation: String) -> HTTPServerError {
      HTTPServerError(address: path, operation: operation, errno: errno)
    }
    var address = try Self.address(path)
    try removeStale(path, &address)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failed("socket") }
    do throws(HTTPServerError) {
      guard withSocketAddress(&address, { bind(descriptor, $0, $1) }) == 0 else { throw failed("bind") }
      guard chmod(path, mode) == 0 else { throw failed("chmod") }
      var status = stat()
      guard lstat(path, &status) == 0 else { throw failed("lstat") }
      guard Glibc.listen(descriptor, 256) == 0 else { throw failed("listen") }
      return (descriptor, SocketFile(path: path, device: status.st_dev, inode: status.st_ino))
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Removes the file if it is still the one that was bound.
  func remove() {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unlink(path)
  }

  private static func address(_ path: String) throws(HTTPServerError) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path) - 1
    guard !path.isEmpty, path.utf8.count <= room, !path.utf8.contains(0) else {
      throw HTTPServerError(
        address: path, operation: "bind", errno: 0,
        advice: "a socket path has 1 to \(room) bytes (unix(7)), this one \(path.utf8.count)")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
  }

  private static func removeStale(_ path: String, _ address: inout sockaddr_un) throws(HTTPServerError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw HTTPServerError(
        address: path, operation: "bind", errno: 0, advice: "a file that is not a socket is in the way; move it")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { throw HTTPServerError(address: path, operation: "socket", errno: errno) }
    defer { close(probe) }
    let refused = withSocketAddress(&address) { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
    guard refused else { throw HTTPServerError(address: path, operation: "bind", errno: EADDRINUSE) }
    guard unlink(path) == 0 else { throw HTTPServerError(address: path, operation: "unlink", errno: errno) }
  }

  private static func withSocketAddress(
    _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}

/// The port of a bound TCP socket; 0 for anything else. Never an error: a listener from another network namespace is
/// served all the same.
func boundPort(_ descriptor: Int32) -> Int {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
  return withUnsafeMutablePointer(to: &storage) { pointer in
    let found = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    guard found == 0 else { return 0 }
    switch Int32(pointer.pointee.ss_family) {
    case AF_INET:
      return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    case AF_INET6:
      return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin6_port))
      }
    default: return 0
    }
  }
}
