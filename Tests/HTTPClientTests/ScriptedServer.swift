import Glibc
import Synchronization

/// A server that does to its clients what no good server does: cuts, stalls, floods. One thread a connection,
/// blocking sockets, each request answered by the script.
final class ScriptedServer: Sendable {
  /// What the script answers.
  enum Step: Sendable {
    /// These bytes as they are, then wait for the next request on the connection.
    case answer(String)
    /// These bytes, then close the connection.
    case cut(String)
    /// Bytes without end, until the client goes away.
    case flood(head: String)
    /// Nothing, until the client goes away.
    case stall
  }
  struct Seen: Sendable {
    /// Counts accepted connections from 0.
    var connection: Int
    /// Request line and headers.
    var head: String
    var body: String
  }
  enum Event: Sendable { case request(Seen), closed(connection: Int) }

  /// A class so that threads can share it.
  private final class Record: Sendable {
    let list = Mutex<[Seen]>([])
  }

  let port: UInt16
  let events: AsyncStream<Event>
  private let listener: Int32
  private let seen = Record()

  var requests: [Seen] { seen.list.withLock { $0 } }
  func url(_ path: String = "/") -> String { "http://127.0.0.1:\(port)\(path)" }

  /// - Parameter unixPath: listens there instead of on a free loopback port.
  init(unixPath: String? = nil, script: @escaping @Sendable (Seen) -> Step) throws {
    let (listener, port) = try unixPath.map { (try Self.listenUnix($0), UInt16(0)) } ?? Self.listenTCP()
    self.listener = listener
    self.port = port
    let (events, sink) = AsyncStream.makeStream(of: Event.self)
    self.events = events
    spawn { [seen] in
      var count = 0
      while true {
        let socket = accept(listener, nil, nil)
        // Only `shutdown` makes a listening socket invalid. This thread closes it, and no other: a descriptor that is
        // closed under an accepting thread may be the next test's listener by the time it accepts.
        if socket < 0, errno == EINVAL { break }
        guard socket >= 0 else { continue }
        let connection = count
        count += 1
        spawn {
          while let request = Self.read(socket, connection) {
            seen.list.withLock { $0.append(request) }
            sink.yield(.request(request))
            guard Self.obey(script(request), socket) else { break }
          }
          close(socket)
          sink.yield(.closed(connection: connection))
        }
      }
      close(listener)
    }
  }

  /// Ends the accepting thread.
  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
  }

  private static func obey(_ step: Step, _ socket: Int32) -> Bool {
    switch step {
    case .answer(let text): return write(socket, text)
    case .cut(let text):
      _ = write(socket, text)
      return false
    case .flood(let head):
      let block = String(repeating: "x", count: 65536)
      guard write(socket, head) else { return false }
      while write(socket, block) {}
      return false
    case .stall:
      var byte: UInt8 = 0
      while recv(socket, &byte, 1, 0) > 0 {}
      return false
    }
  }

  private static func write(_ socket: Int32, _ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { return false }
      rest = rest.dropFirst(sent)
    }
    return true
  }

  private static func read(_ socket: Int32, _ connection: Int) -> Seen? {
    var text: [UInt8] = []
    while !text.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      var byte: UInt8 = 0
      guard recv(socket, &byte, 1, 0) == 1 else { return nil }
      text.append(byte)
    }
    let head = String(decoding: text, as: UTF8.self)
    let length =
      head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
      .flatMap { Int($0.split(separator: " ").last ?? "") } ?? 0
    var body: [UInt8] = []
    while body.count < length {
      var byte: UInt8 = 0
      guard recv(socket, &byte, 1, 0) == 1 else { return nil }
      body.append(byte)
    }
    return Seen(connection: connection, head: head, body: String(decoding: body, as: UTF8.self))
  }

  struct Failure: Error { let operation: String, code: Int32 }

  private static func listenTCP() throws -> (Int32, UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(descriptor, generic, size) == 0 && listen(descriptor, 64) == 0
          && getsockname(descriptor, generic, &size) == 0
      }
    }
    guard bound else { throw Failure(operation: "listen on loopback", code: errno) }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  private static func listenUnix(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(descriptor, 64) == 0
      }
    }
    guard bound else { throw Failure(operation: "listen on \(path)", code: errno) }
    return descriptor
  }
}

/// Runs `work` on a thread of its own.
private func spawn(_ work: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let work: @Sendable () -> Void
    init(_ work: @escaping @Sendable () -> Void) { self.work = work }
  }
  var thread = pthread_t()
  let box = Unmanaged.passRetained(Box(work))
  let code = pthread_create(
    &thread, nil,
    { context in
      if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().work() }
      return nil
    }, box.toOpaque())
  precondition(code == 0, "pthread_create failed with \(code)")
  pthread_detach(thread)
}
