import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The threads that carry connections; one set serves every server of the process.
public final class ServerLoops: Sendable {
  /// As many threads as cores, two at most: handlers run elsewhere, these only move bytes.
  public static let shared = ServerLoops(count: min(System.coreCount, 2))
  let group: MultiThreadedEventLoopGroup
  /// A set of its own with `count` threads, which live as long as the process.
  public init(count: Int) { group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, count)) }
}

/// A small HTTP/1.1 server on SwiftNIO: whole requests in, whole or streamed answers out, keep-alive, everything bounded.
public final class HTTPServer: Sendable {
  /// Answers one request. It runs in a task of its own, which is cancelled when the client goes away.
  public typealias Handler = @Sendable (ServerRequest) async throws -> ServerResponse

  /// Bounds on what clients can make the server hold, and for how long.
  public struct Options: Sendable {
    /// Longer bodies are answered 413.
    public var maxBodyBytes = 4 << 20
    /// One header field or the request target; more is answered 431. Four times this bounds all fields together.
    public var maxHeaderBytes = 16 << 10
    /// Fields in one request; more is answered 431.
    public var maxHeaderCount = 100
    /// Connections at a time; more are closed at once.
    public var maxConnections = 1024
    /// From accept, or from the end of the last answer, to the end of the next request's head, however slowly it drips.
    public var idleTimeout = Duration.seconds(60)
    /// From the end of the head to the end of the body; later is answered 408.
    public var bodyTimeout = Duration.seconds(30)
    /// How long a client may take to accept what is written to it.
    public var writeTimeout = Duration.seconds(60)
    /// Permission bits of a Unix socket's file.
    public var socketMode: UInt32 = 0o660
    /// Told of every handler that threw (anything but a `ServerRefusal` or a cancellation): count it and log it. The
    /// client only sees a 500 without the error's text.
    public var onHandlerError: @Sendable (_ method: String, _ path: String, _ error: any Error) -> Void = { _, _, _ in }
    /// The defaults above.
    public init() {}
  }

  /// The bound TCP port (0 for Unix sockets and handed listeners without one).
  public let port: Int
  private let channel: any Channel
  private let file: SocketFile?
  private let connections: ConnectionList

  private init(port: Int, channel: any Channel, file: SocketFile?, connections: ConnectionList) {
    self.port = port
    self.channel = channel
    self.file = file
    self.connections = connections
  }

  /// Binds and serves until `stop`. A handler that throws answers 500 without its text, or the `ServerRefusal` it threw.
  /// `maxBodyBytes` overrides the option of that name. Throws `HTTPServerError`.
  public static func start(
    at address: ServerAddress, maxBodyBytes: Int? = nil, options: Options = Options(), on loops: ServerLoops = .shared,
    handler: @escaping Handler
  ) async throws -> HTTPServer {
    var options = options
    if let maxBodyBytes { options.maxBodyBytes = maxBodyBytes }
    _ = decoderTypes
    let connections = ConnectionList(limit: options.maxConnections)
    let bootstrap = Self.bootstrap(options, loops, connections, handler)
    do {
      switch address {
      case .tcp(let host, let port):
        let channel = try await bootstrap.bind(host: host, port: port).get()
        return HTTPServer(port: channel.localAddress?.port ?? 0, channel: channel, file: nil, connections: connections)
      case .unix(let path):
        let (descriptor, file) = try SocketFile.listen(path: path, mode: options.socketMode)
        return HTTPServer(
          port: 0, channel: try await adopt(descriptor, address, bootstrap), file: file, connections: connections)
      case .listener(let descriptor):
        let port = boundPort(descriptor)
        return HTTPServer(
          port: port, channel: try await adopt(descriptor, address, bootstrap), file: nil, connections: connections)
      }
    } catch let error as IOError {
      throw HTTPServerError(address: address.description, operation: "bind", errno: error.errnoCode)
    } catch let error as HTTPServerError {
      throw error
    } catch {
      throw HTTPServerError(address: address.description, operation: "bind", errno: 0, advice: "\(error)")
    }
  }

  /// Stops accepting, lets answers that are being made go out for `grace`, then cuts what is left; returns when all
  /// connections are closed. Idle connections are closed at once.
  public func stop(grace: Duration = .seconds(5)) async {
    channel.close(promise: nil)
    await channel.closeFuture.settled()
    file?.remove()
    await connections.drain(grace: grace)
  }

  private static func adopt(
    _ descriptor: Int32, _ address: ServerAddress, _ bootstrap: ServerBootstrap
  ) async throws -> any Channel {
    // What can't listen is refused while it is ours to close; whatever fails later, NIO closes it.
    guard listen(descriptor, backlog) == 0 else {
      let error = HTTPServerError(address: address.description, operation: "listen", errno: errno)
      close(descriptor)
      throw error
    }
    return try await bootstrap.withBoundSocket(descriptor).get()
  }

  private static let backlog: Int32 = 256

  private static func bootstrap(
    _ options: Options, _ loops: ServerLoops, _ connections: ConnectionList, _ handler: @escaping Handler
  ) -> ServerBootstrap {
    ServerBootstrap(group: loops.group)
      .serverChannelOption(.backlog, value: backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      // Out of descriptors: wait a second instead of spinning on a readable listener.
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
        }
      }
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard connections.add(channel) else { throw ChannelError.inputClosed }
          // Unix sockets have no such option; asking the address tells which kind this is and never fails a connection.
          if channel.remoteAddress?.port != nil, let raw = channel.syncOptions {
            try raw.setOption(.tcpOption(.tcp_nodelay), value: 1)
          }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(HTTPResponseEncoder())
          try pipeline.addHandler(decoder(options))
          try pipeline.addHandler(ConnectionHandler(options: options, handler: handler))
        }
      }
  }

  private static func decoder(_ options: Options) -> ByteToMessageHandler<HTTPRequestDecoder> {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = options.maxHeaderBytes
    limits.maxHeaderListSize = options.maxHeaderBytes * 4
    limits.maxHeaderFieldCount = options.maxHeaderCount
    return ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits))
  }

  /// The decoder's generic types, made by one thread before the first connection. Where two connections that were waiting had
  /// both event loops make them at once, one process in some 3,000 died: the Swift runtime (6.3.1) looks for a
  /// conformance through the superclass of a class that the other thread hasn't finished
  /// (swift_conformsToProtocolMaybeInstantiateSuperclasses). Once made they are only read.
  private static let decoderTypes: Void = { _ = decoder(Options()) }()
}

/// The open connections of one server: the cap on their number, and the wait for their end.
final class ConnectionList: Sendable {
  private struct State {
    var open: [ObjectIdentifier: any Channel] = [:]
    var stopping = false
  }
  private let state = Mutex(State())
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  func add(_ channel: any Channel) -> Bool {
    let key = ObjectIdentifier(channel)
    let taken = state.withLock { state in
      guard !state.stopping, state.open.count < limit else { return false }
      state.open[key] = channel
      return true
    }
    if taken {
      channel.closeFuture.whenComplete { _ in _ = self.state.withLock { $0.open.removeValue(forKey: key) } }
    }
    return taken
  }

  func drain(grace: Duration) async {
    let open = state.withLock { state in
      state.stopping = true
      return Array(state.open.values)
    }
    for channel in open { channel.pipeline.fireUserInboundEventTriggered(ServerIsStopping()) }
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await Task.sleep(for: grace)
        } catch { return }  // all closed in time
        for channel in open { channel.close(promise: nil) }
      }
      for channel in open { await channel.closeFuture.settled() }
      group.cancelAll()
    }
  }
}

/// Asks a connection to close as soon as it owes no answer.
struct ServerIsStopping: Sendable {}

extension EventLoopFuture where Value == Void {
  /// Returns when the future is settled, however it ended.
  fileprivate func settled() async {
    await withCheckedContinuation { continuation in whenComplete { _ in continuation.resume() } }
  }
}
