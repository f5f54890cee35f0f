import CLinux
import Glibc
import Linux

/// Serves a listener of the gateway from a port of this host's loopback: what a runner's gateways do in earnest.
enum GatewayRelay {
  /// Serves until the listener's sandbox is gone and nobody connects any more.
  static func serve(_ listener: Descriptor, port: UInt16) {
    Thread.detach {
      while true {
        let number = withExtendedLifetime(listener) { cl_accept(listener.number) }
        if number >= 0 {
          connect(Descriptor(owning: number), port: port)
        } else if errno == EAGAIN {
          // The supervisor makes its listeners non-blocking.
          if (try? waitReadable([listener], timeout: nil)) == nil { return }
        } else if errno != ECONNABORTED {
          return
        }
      }
    }
  }

  private static func connect(_ inside: Descriptor, port: UInt16) {
    let outside = Descriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let answer = withExtendedLifetime(outside) {
      withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(outside.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    // Nobody serves there: the command sees its connection end.
    if answer < 0 { return }
    Thread.detach { copy(from: inside, to: outside) }
    Thread.detach { copy(from: outside, to: inside) }
  }

  private static func copy(from source: Descriptor, to target: Descriptor) {
    var buffer = [UInt8](repeating: 0, count: 65536)
    defer { _ = withExtendedLifetime(target) { shutdown(target.number, Int32(SHUT_WR)) } }
    while true {
      let count = withExtendedLifetime(source) {
        buffer.withUnsafeMutableBytes { read(source.number, $0.baseAddress, $0.count) }
      }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 || (try? target.write(buffer[..<count])) == nil { return }
    }
  }
}
