import Addresses
import HTTPServer
import NIOCore
import NIOPosix
import Synchronization

/// The way out of one sidecar's sandbox: an HTTP proxy on a listener of that sandbox alone.
///
/// A name is looked up here, each address is checked, and the connection is made to an address that was checked: a name that
/// stands for something else on the second look-up (DNS rebinding) is never looked up twice.
public final class ForwardProxy: Sendable {
  /// Bounds on what one sidecar can make the runner hold and move.
  public struct Options: Sendable {
    /// Connections at once.
    public var connectionLimit = 32
    /// Connections in all.
    public var totalLimit = 2000
    /// Bytes in both directions together.
    public var byteLimit = 1 << 30
    /// From accept to the end of the request's head.
    public var headTimeout = Duration.seconds(10)
    /// To one address.
    public var connectTimeout = Duration.seconds(10)
    /// Without a byte in either direction.
    public var idleTimeout = Duration.seconds(60)
    /// A connection, whatever it does.
    public var lifeLimit = Duration.seconds(1800)
    /// Records that are told; later ones are only counted.
    public var recordLimit = 500
    /// Looks names up.
    public var resolver = Resolver.system
    /// Addresses of this host.
    public var ownAddresses: @Sendable () -> Set<IPAddress> = { Gateway.ownAddresses() }
    /// Told of each connection when it ends, and of each refusal.
    public var onRecord: @Sendable (ProxyRecord) -> Void = { _ in }
    /// The defaults.
    public init() {}
  }

  let policy: ProxyPolicy
  let options: Options
  private let channel = Mutex<(any Channel)?>(nil)
  private struct Count {
    var open: [ObjectIdentifier: any Channel] = [:]
    var total = 0
    var bytes = 0
    var records = 0
    var isStopped = false
  }
  private let count = Mutex(Count())

  private init(policy: ProxyPolicy, options: Options) {
    self.policy = policy
    self.options = options
  }

  /// Serves on a listening socket, which is closed at `stop`, or on a TCP port of this host for tests.
  /// - Returns: the proxy, and the port where it has one.
  public static func start(
    at address: ServerAddress, policy: ProxyPolicy, options: Options = Options()
  ) async throws -> (proxy: ForwardProxy, port: Int) {
    let proxy = ForwardProxy(policy: policy, options: options)
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 64)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.socketOption(.so_keepalive), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard proxy.admits(channel) else { throw ChannelError.inputClosed }
          try channel.pipeline.syncOperations.addHandler(ProxyConnection(proxy))
        }
      }
    let channel: any Channel
    switch address {
    case .listener(let descriptor): channel = try await bootstrap.withBoundSocket(descriptor).get()
    case .tcp(let host, let port): channel = try await bootstrap.bind(host: host, port: port).get()
    case .unix(let path): channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
    }
    proxy.channel.withLock { $0 = channel }
    return (proxy, channel.localAddress?.port ?? 0)
  }

  /// Closes the listener and cuts every connection. May be called twice.
  public func stop() async {
    let listener = channel.withLock { $0 }
    listener?.close(promise: nil)
    try? await listener?.closeFuture.get()
    let open = count.withLock { count in
      count.isStopped = true
      return Array(count.open.values)
    }
    for channel in open { channel.close(promise: nil) }
  }

  /// Connections that are open now.
  var openConnections: Int { count.withLock { $0.open.count } }

  private func admits(_ channel: any Channel) -> Bool {
    let key = ObjectIdentifier(channel)
    let isAdmitted = count.withLock { count in
      guard !count.isStopped, count.open.count < options.connectionLimit else { return false }
      count.open[key] = channel
      return true
    }
    if isAdmitted {
      channel.closeFuture.whenComplete { _ in _ = self.count.withLock { $0.open.removeValue(forKey: key) } }
    } else {
      record(ProxyRecord(result: ProxyRefusal.overLimit("connections at once").word))
    }
    return isAdmitted
  }

  /// Counts a connection; the refusal where it is one too many.
  func begin() -> ProxyRefusal? {
    count.withLock { count in
      count.total += 1
      if count.total > options.totalLimit { return .overLimit("\(options.totalLimit) connections") }
      return count.bytes >= options.byteLimit ? .overLimit("\(options.byteLimit) bytes") : nil
    }
  }

  /// Counts bytes; false where they are too many.
  func add(bytes: Int) -> Bool {
    count.withLock { count in
      count.bytes += bytes
      return count.bytes <= options.byteLimit
    }
  }

  func record(_ record: ProxyRecord) {
    var record = record
    let number = count.withLock { count in
      count.records += 1
      return count.records
    }
    record.isTold = number <= options.recordLimit
    options.onRecord(record)
  }
}

/// One connection through the proxy, or the reason why there was none.
public struct ProxyRecord: Sendable, Hashable {
  /// What was asked for; nil where it couldn't be read.
  public var target: HostPort?
  /// What was connected to.
  public var address: IPAddress?
  /// `connected`, or a word for the refusal.
  public var result: String
  /// From the sidecar.
  public var sent = 0
  /// To the sidecar.
  public var received = 0
  /// Of the whole connection.
  public var milliseconds = 0.0
  /// Whether it is among the first so many; the others are only counted.
  public var isTold = true

  init(target: HostPort? = nil, address: IPAddress? = nil, result: String) {
    self.target = target
    self.address = address
    self.result = result
  }
}
