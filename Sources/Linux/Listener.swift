import CLinux
import Glibc

/// A listening TCP socket that is made here and served elsewhere.
public enum TCPListener {
  /// Listens on an address; port 0 takes a free one, which is returned. Throws EADDRINUSE where somebody else does.
  public static func open(_ address: IPv4Address, port: UInt16) throws(LinuxError) -> (
    descriptor: Descriptor, port: Int
  ) {
    let number = cl_tcp_listener(address.number, port, nil, 256)
    let listener = Descriptor(owning: try check(number, "listen", "\(address):\(port)"))
    return (listener, Int(try check(cl_bound_port(listener.number), "getsockname", "\(address):\(port)")))
  }
}
