import Dispatch
import Glibc

/// A client that writes exactly the bytes a test gives it: what a well-behaved HTTP library would refuse to send.
final class RawClient: Sendable {
  struct Failure: Error { var operation: String, code: Int32 }
  private let descriptor: Int32
  private let queue = DispatchQueue(label: "raw client")

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try Self.connect(descriptor, &address)
    limitWaits()
  }

  init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try Self.connect(descriptor, &address)
    limitWaits()
  }

  deinit { close(descriptor) }

  private static func connect<Address>(_ descriptor: Int32, _ address: inout Address) throws {
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    guard result == 0 else { throw Failure(operation: "connect", code: errno) }
  }

  /// A test that would wait for ever fails after ten seconds.
  private func limitWaits() {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  func send(_ text: String) throws {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(operation: "send", code: errno) }
      bytes = bytes.dropFirst(count)
    }
  }

  /// Everything up to the server's close.
  func readToEnd() async throws -> String {
    var text = ""
    while let more = try await readSome() { text += more }
    return text
  }

  /// Reads until `text` has arrived `count` times.
  func read(until text: String, times count: Int = 1) async throws -> String {
    var all = ""
    while all.components(of: text) < count {
      guard let more = try await readSome() else { throw Failure(operation: "closed after: \(all)", code: 0) }
      all += more
    }
    return all
  }

  /// On a queue of its own: a blocking `recv` on Swift's own threads would keep the server's handlers from running.
  private func readSome() async throws -> String? {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(self.descriptor, &buffer, buffer.count, 0)
        if count < 0 {
          continuation.resume(throwing: Failure(operation: "recv", code: errno))
        } else {
          continuation.resume(returning: count == 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self))
        }
      }
    }
  }
}

extension String {
  fileprivate func components(of text: String) -> Int {
    var (count, rest) = (0, Substring(self))
    while !rest.isEmpty {
      if rest.hasPrefix(text) { count += 1 }
      rest = rest.dropFirst()
    }
    return count
  }
}
