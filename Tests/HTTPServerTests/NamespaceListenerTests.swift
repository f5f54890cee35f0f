import Dispatch
import Glibc
import HTTPServer
import Testing

/// The supervisor makes listeners inside a gateway's network namespace and hands them to a server that stays outside.
@Suite struct NamespaceListenerTests {
  @Test(.enabled(if: geteuid() == 0, "making a network namespace needs root"))
  func servesAListenerOfAnotherNetworkNamespace() async throws {
    let (listeners, listening) = AsyncStream.makeStream(of: Int32.self)
    let (answers, answered) = AsyncStream.makeStream(of: String.self)
    let serverIsUp = DispatchSemaphore(value: 0)
    // A thread of its own, which ends in the namespace that it made.
    onThread {
      listening.yield(listenerInNewNamespace(port: 7777))
      serverIsUp.wait()
      answered.yield(askOverLoopback(port: 7777))
    }
    var descriptors = listeners.makeAsyncIterator()
    let descriptor = await descriptors.next() ?? -1
    guard descriptor >= 0 else {
      serverIsUp.signal()
      Issue.record("no listener in a new network namespace")
      return
    }
    let server = try await HTTPServer.start(at: .listener(descriptor: descriptor)) { .text($0.path) }
    #expect(server.port == 7777)
    serverIsUp.signal()
    var texts = answers.makeAsyncIterator()
    #expect(await texts.next()?.hasSuffix("\r\n\r\n/inside") == true)
    #expect(throws: RawClient.Failure.self, "the port is not open outside") { try RawClient(port: 7777) }
    await server.stop(grace: .zero)
  }
}

private final class Work: Sendable {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func onThread(_ body: @escaping @Sendable () -> Void) {
  var thread = pthread_t()
  let argument = Unmanaged.passRetained(Work(body)).toOpaque()
  let code = pthread_create(
    &thread, nil,
    { argument in
      if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
      return nil
    }, argument)
  if code == 0 { pthread_detach(thread) }
}

/// Puts this thread into a new network namespace with loopback up; a listening socket there, or -1.
private func listenerInNewNamespace(port: UInt16) -> Int32 {
  // Glibc's Swift module leaves unshare(2) out.
  typealias Unshare = @convention(c) (Int32) -> Int32
  guard let symbol = dlsym(nil, "unshare"), unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000) == 0 else { return -1 }
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var request = [UInt8](repeating: 0, count: 40)  // struct ifreq of netdevice(7)
  request.replaceSubrange(0..<2, with: "lo".utf8)
  request[16] = 1  // IFF_UP
  guard ioctl(descriptor, 0x8914, &request) == 0 else { return -1 }  // SIOCSIFFLAGS
  return withLoopback(port) { bind(descriptor, $0, $1) } == 0 && listen(descriptor, 5) == 0 ? descriptor : -1
}

private func askOverLoopback(port: UInt16) -> String {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var limit = timeval(tv_sec: 10, tv_usec: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  guard withLoopback(port, { connect(descriptor, $0, $1) }) == 0 else { return "connect: errno \(errno)" }
  let request = Array("GET /inside HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8)
  guard send(descriptor, request, request.count, 0) == request.count else { return "send: errno \(errno)" }
  var answer: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
    answer += buffer[..<count]
  }
}

private func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}
