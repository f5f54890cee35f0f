import Glibc
import Testing

@testable import HTTPServer

@Suite struct ListenerTests {
  private let directory: String
  private var path: String { "\(directory)/http.sock" }
  private let get = "GET /u HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

  init() throws {
    var template = Array("/tmp/botburrow-listener-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw RawClient.Failure(operation: "mkdtemp", code: errno) }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Sendable private static func path(_ request: ServerRequest) -> ServerResponse { .text(request.path) }

  @Test func servesAUnixSocketWithTheGivenMode() async throws {
    defer { rmdir(directory) }
    var options = HTTPServer.Options()
    options.socketMode = 0o600
    let server = try await HTTPServer.start(at: .unix(path: path), options: options, handler: Self.path)
    var status = stat()
    #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    let client = try RawClient(path: path)
    try client.send(get)
    #expect(try await client.readToEnd().hasSuffix("/u"))
    await server.stop()
    #expect(lstat(path, &status) != 0, "the socket file is gone after stop")
  }

  @Test func replacesASocketFileThatNobodyListensOn() async throws {
    defer { rmdir(directory) }
    let (stale, _) = try SocketFile.listen(path: path, mode: 0o600)
    close(stale)
    let server = try await HTTPServer.start(at: .unix(path: path), handler: Self.path)
    let client = try RawClient(path: path)
    try client.send(get)
    #expect(try await client.readToEnd().hasSuffix("/u"))
    await server.stop()
  }

  @Test func leavesALiveSocketAlone() async throws {
    defer { rmdir(directory) }
    let server = try await HTTPServer.start(at: .unix(path: path), handler: Self.path)
    let error = await #expect(throws: HTTPServerError.self) {
      try await HTTPServer.start(at: .unix(path: path), handler: Self.path)
    }
    #expect(
      error?.description
        == "can't listen on \(path): bind: Address already in use (errno 98): stop the program that listens there or choose another address"
    )
    await server.stop()
  }

  @Test func leavesAFileThatIsNoSocketAlone() async throws {
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    defer {
      unlink(path)
      rmdir(directory)
    }
    let error = await #expect(throws: HTTPServerError.self) {
      try await HTTPServer.start(at: .unix(path: path), handler: Self.path)
    }
    #expect(error?.description == "can't listen on \(path): a file that is not a socket is in the way; move it")
  }

  @Test func namesThePortThatIsTaken() async throws {
    defer { rmdir(directory) }
    let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0), handler: Self.path)
    let error = await #expect(throws: HTTPServerError.self) {
      try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: server.port), handler: Self.path)
    }
    #expect(
      error?.description
        == "can't listen on 127.0.0.1:\(server.port): bind: Address already in use (errno 98): stop the program that listens there or choose another address"
    )
    await server.stop()
  }

  @Test func adoptsAListenerMadeElsewhere() async throws {
    defer { rmdir(directory) }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    #expect(bound == 0 && listen(descriptor, 5) == 0)
    let server = try await HTTPServer.start(at: .listener(descriptor: descriptor), handler: Self.path)
    #expect(server.port != 0)
    let client = try RawClient(port: server.port)
    try client.send(get)
    #expect(try await client.readToEnd().hasSuffix("/u"))
    await server.stop()
  }

  @Test func whatCannotListenIsRefusedAndClosed() async throws {
    defer { rmdir(directory) }
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    let (readEnd, writeEnd) = (ends[0], ends[1])
    defer { close(readEnd) }
    let error = await #expect(throws: HTTPServerError.self) {
      try await HTTPServer.start(at: .listener(descriptor: writeEnd), handler: Self.path)
    }
    #expect(
      error?.description
        == "can't listen on descriptor \(writeEnd): listen: Socket operation on non-socket (errno 88): hand over a listening socket"
    )
    // The end of what nobody can write to any more.
    var byte: UInt8 = 0
    #expect(read(readEnd, &byte, 1) == 0)
  }
}
