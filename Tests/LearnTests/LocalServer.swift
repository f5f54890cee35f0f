import CLinux
import Glibc
import Linux
import Synchronization

/// Answers every HTTP request on a loopback port with the same text.
final class LocalServer: Sendable {
  let port: UInt16
  private let listener: Descriptor
  private let requests = Atomic<Int>(0)

  var count: Int { requests.load(ordering: .relaxed) }

  init(type: String = "text/plain", answer: String) throws {
    let number = cl_tcp_listener(0x7f00_0001, 0, nil, 16)
    if number < 0 { throw LinuxError.last("listen", "127.0.0.1") }
    listener = Descriptor(owning: number)
    port = UInt16(cl_bound_port(number))
    let head =
      "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Length: \(answer.utf8.count)\r\nConnection: close\r\n\r\n"
    Thread.detach { [self] in serve(head + answer) }
  }

  func stop() { _ = withExtendedLifetime(listener) { shutdown(listener.number, Int32(SHUT_RDWR)) } }

  private func serve(_ answer: String) {
    while (try? waitReadable([listener], timeout: nil)) != nil {
      let number = cl_accept(listener.number)
      if number < 0 && errno != EAGAIN && errno != ECONNABORTED { return }
      if number < 0 { continue }
      let connection = Descriptor(owning: number)
      // A connection each, one after the other: no client of these tests opens two at once and waits for the second.
      guard request(connection) else { continue }
      requests.add(1, ordering: .relaxed)
      try? connection.write(answer.utf8)
      // Unread bytes would make the end a reset, which takes the answer along.
      shutdown(connection.number, Int32(SHUT_WR))
      _ = try? connection.readAll(limit: 1 << 20)
    }
  }

  /// Reads a request with its body.
  private func request(_ connection: Descriptor) -> Bool {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    var length: Int?
    while true {
      let count = read(connection.number, &buffer, buffer.count)
      if count <= 0 { return false }
      bytes += buffer[..<count]
      if length == nil, let end = bytes.firstRange(of: [13, 10, 13, 10])?.upperBound {
        let head = String(decoding: bytes[..<end], as: UTF8.self).lowercased().split(separator: "\r\n")
        let body = head.first { $0.hasPrefix("content-length:") }.flatMap { Int($0.dropFirst(15).filter { $0 != " " }) }
        length = end + (body ?? 0)
      }
      if let length, bytes.count >= length { return true }
    }
  }
}
