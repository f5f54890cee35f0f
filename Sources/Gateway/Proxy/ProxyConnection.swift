import Addresses
import NIOCore
import NIOPosix

/// One connection of a sidecar: reads the head, has the name looked up and checked, connects, and from then on moves bytes. All
/// state belongs to the event loop, which both ends share. Reads are asked for one by one: no side is read faster than the
/// other takes it.
final class ProxyConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum State {
    case head([UInt8])
    /// A name is looked up, or a connection made; nothing is read meanwhile.
    case connecting(rest: [UInt8])
    case relaying(any Channel)
    case over
  }
  private let proxy: ForwardProxy
  private var state = State.head([])
  private var deadline: Scheduled<Void>?
  private var life: Scheduled<Void>?
  private var record = ProxyRecord(result: "cut")
  private var started = NIODeadline.now()

  init(_ proxy: ForwardProxy) { self.proxy = proxy }

  func channelActive(context: ChannelHandlerContext) {
    arm(proxy.options.headTimeout, context)
    life = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(proxy.options.lifeLimit)) {
      context.close(promise: nil)
    }
    if let refusal = proxy.begin() { return refuse(refusal, context) }
    context.read()
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    life?.cancel()
    if case .relaying(let peer) = state { peer.close(promise: nil) }
    if case .over = state {} else { tell() }
    state = .over
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    switch state {
    case .head(var head):
      state = .over
      head += buffer.readableBytesView
      take(head, context)
    case .connecting(var rest):
      state = .over
      rest += buffer.readableBytesView
      state = .connecting(rest: rest)
    case .relaying(let peer): move(buffer, to: peer, context)
    case .over: break
    }
  }

  private func take(_ head: [UInt8], _ context: ChannelHandlerContext) {
    guard let end = ProxyRequest.end(in: head) else {
      state = .head(head)
      guard head.count <= ProxyRequest.limit else {
        return refuse(.badRequest("the request's head is too large"), context)
      }
      return context.read()
    }
    do throws(ProxyRefusal) {
      let request = try ProxyRequest(head: head[..<end])
      record.target = request.target
      if let refusal = proxy.policy.refusal(of: request.target) { throw refusal }
      state = .connecting(rest: Array(head[end...]))
      resolve(request, context)
    } catch {
      refuse(error, context)
    }
  }

  private func resolve(_ request: ProxyRequest, _ context: ChannelHandlerContext) {
    arm(proxy.options.connectTimeout + proxy.options.connectTimeout, context)
    let promise = context.eventLoop.makePromise(of: [IPAddress].self)
    proxy.options.resolver.addresses(of: request.target) { promise.succeed($0) }
    promise.futureResult.assumeIsolated().whenSuccess { addresses in
      guard case .connecting = self.state else { return }
      switch self.proxy.policy.permitted(addresses, own: self.proxy.options.ownAddresses()) {
      case .success(let permitted): self.connect(request, to: permitted[...], context)
      case .failure(let refusal): self.refuse(refusal, context)
      }
    }
  }

  /// Tries the checked addresses in turn.
  private func connect(
    _ request: ProxyRequest, to addresses: ArraySlice<IPAddress>, _ context: ChannelHandlerContext
  ) {
    guard case .connecting = state else { return }
    guard let address = addresses.first,
      let place = try? SocketAddress(ipAddress: address.description, port: request.target.port)
    else { return refuse(.unreachable, context) }
    let limit = TimeAmount(proxy.options.connectTimeout)
    arm(proxy.options.connectTimeout + .seconds(1), context)
    let made = ClientBootstrap(group: context.eventLoop)
      .connectTimeout(limit)
      .channelOption(.autoRead, value: false)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .connect(to: place)
    made.assumeIsolated().whenComplete { result in
      switch result {
      case .success(let peer):
        self.record.address = address
        self.begin(request, with: peer, context)
      case .failure: self.connect(request, to: addresses.dropFirst(), context)
      }
    }
  }

  private func begin(_ request: ProxyRequest, with peer: any Channel, _ context: ChannelHandlerContext) {
    guard case .connecting(let rest) = state, context.channel.isActive else {
      peer.close(promise: nil)
      return
    }
    do {
      try peer.pipeline.syncOperations.addHandler(
        ProxyAnswer(self, NIOLoopBound(context, eventLoop: context.eventLoop)))
    } catch {
      peer.close(promise: nil)
      return refuse(.unreachable, context)
    }
    record.result = "connected"
    state = .relaying(peer)
    arm(proxy.options.idleTimeout, context)
    if request.forwarded == nil {
      let answer = ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n")
      context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
    }
    let first = (request.forwarded ?? []) + rest
    peer.read()
    if first.isEmpty {
      context.read()
    } else {
      move(ByteBuffer(bytes: first), to: peer, context)
    }
  }

  /// From the sidecar to the host; more is read once the host's side has it.
  private func move(_ buffer: ByteBuffer, to peer: any Channel, _ context: ChannelHandlerContext) {
    record.sent += buffer.readableBytes
    guard proxy.add(bytes: buffer.readableBytes) else { return context.close(promise: nil) }
    arm(proxy.options.idleTimeout, context)
    peer.writeAndFlush(buffer).assumeIsolated().whenComplete { result in
      switch result {
      case .success: context.read()
      case .failure: context.close(promise: nil)
      }
    }
  }

  /// From the host to the sidecar.
  func answer(_ buffer: ByteBuffer, from peer: any Channel, _ context: ChannelHandlerContext) {
    guard case .relaying = state else { return }
    record.received += buffer.readableBytes
    guard proxy.add(bytes: buffer.readableBytes) else { return context.close(promise: nil) }
    arm(proxy.options.idleTimeout, context)
    context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { result in
      switch result {
      case .success: peer.read()
      case .failure: context.close(promise: nil)
      }
    }
  }

  /// Says why, and closes once that is written.
  private func refuse(_ refusal: ProxyRefusal, _ context: ChannelHandlerContext) {
    if case .over = state, record.result != "cut" { return }
    record.result = refusal.word
    tell()
    state = .over
    let text = refusal.description + "\n"
    let reasons = [400: "Bad Request", 403: "Forbidden", 429: "Too Many Requests"]
    let reason = reasons[refusal.status] ?? "Bad Gateway"
    let answer =
      "HTTP/1.1 \(refusal.status) \(reason)\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
      + "\(text.utf8.count)\r\nConnection: close\r\n\r\n\(text)"
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer))).assumeIsolated().whenComplete { _ in
      context.close(promise: nil)
    }
  }

  private func tell() {
    record.milliseconds = Double((NIODeadline.now() - started).nanoseconds) / 1e6
    proxy.record(record)
  }

  private func arm(_ time: Duration, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { context.close(promise: nil) }
  }
}

/// The host's end of a connection.
private final class ProxyAnswer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let connection: ProxyConnection
  private let client: NIOLoopBound<ChannelHandlerContext>

  init(_ connection: ProxyConnection, _ client: NIOLoopBound<ChannelHandlerContext>) {
    self.connection = connection
    self.client = client
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    connection.answer(unwrapInboundIn(data), from: context.channel, client.value)
  }

  func channelInactive(context: ChannelHandlerContext) { client.value.close(promise: nil) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
