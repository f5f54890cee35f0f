import Glibc
import JSONText
import NIOCore
import NIOHTTP1

/// One connection: takes one request at a time, gives it to the handler's task and writes the answer. Pipelined requests
/// wait, and nothing more is read from the socket meanwhile. All state belongs to the event loop.
final class ConnectionHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    /// Waiting for a head.
    case idle
    /// Head read; the body is arriving.
    case receiving(head: HTTPRequestHead, target: RequestTarget, body: [UInt8])
    /// The handler works, or its answer is being written.
    case responding(keepAlive: Bool)
    /// Nothing more is answered; what still arrives is thrown away until the connection is closed.
    case ending

    var isResponding: Bool { if case .responding = self { true } else { false } }
  }

  /// What a task needs to come back to the event loop.
  private struct Place {
    let connection: ConnectionHandler
    let context: ChannelHandlerContext
  }
  private typealias Bound = NIOLoopBound<Place>

  private let options: HTTPServer.Options
  private let handler: HTTPServer.Handler
  private var state = State.idle
  private var task: Task<Void, Never>?
  private var deadline: Scheduled<Void>?
  private var stopping = false
  /// What the decoder delivered while an answer was being made: at most the rest of one read.
  private var waiting: [HTTPServerRequestPart] = []
  /// Where the decoder gave up behind `waiting`.
  private var broken: HTTPParserError?
  /// A read that was asked for while an answer was being made.
  private var readIsDue = false

  init(options: HTTPServer.Options, handler: @escaping HTTPServer.Handler) {
    self.options = options
    self.handler = handler
  }

  // MARK: What arrives

  func handlerAdded(context: ChannelHandlerContext) { waitForHead(context) }

  func channelInactive(context: ChannelHandlerContext) {
    state = .ending
    deadline?.cancel()
    task?.cancel()
    context.fireChannelInactive()
  }

  func read(context: ChannelHandlerContext) {
    if state.isResponding {
      readIsDue = true
    } else {
      context.read()
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    if state.isResponding {
      waiting.append(part)
    } else {
      receive(part, context)
    }
  }

  private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    switch (part, state) {
    case (.head(let head), .idle): begin(head, context)
    case (.body(let bytes), .receiving(let head, let target, var body)):
      guard body.count + bytes.readableBytes <= options.maxBodyBytes else { return refuse(tooLarge, context) }
      state = .idle  // gives up the other reference, so that appending does not copy the body
      body.append(contentsOf: bytes.readableBytesView)
      state = .receiving(head: head, target: target, body: body)
    case (.end, .receiving(let head, let target, let body)): respond(head, target, body, context)
    default: break  // state is `ending`
    }
  }

  /// Goes on with what arrived during the last answer.
  private func resume(_ context: ChannelHandlerContext) {
    while !state.isResponding, !waiting.isEmpty {
      receive(waiting.removeFirst(), context)
    }
    guard !state.isResponding else { return }
    if let broken { return fail(broken, context) }
    if readIsDue {
      readIsDue = false
      context.read()
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard event is ServerIsStopping else { return context.fireUserInboundEventTriggered(event) }
    stopping = true
    if case .idle = state { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
    if state.isResponding {
      broken = error
    } else {
      fail(error, context)
    }
  }

  private func fail(_ error: HTTPParserError, _ context: ChannelHandlerContext) {
    if case .ending = state { return }
    if error == .headerOverflow {
      refuse(ServerRefusal(status: 431, code: "headers_too_large", message: "the request's head is too large"), context)
    } else {
      refuse(ServerRefusal(status: 400, code: "bad_request", message: "this is not an HTTP/1.1 request"), context)
    }
  }

  private var tooLarge: ServerRefusal {
    ServerRefusal(
      status: 413, code: "body_too_large", message: "the body is longer than \(options.maxBodyBytes) bytes")
  }

  private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
    guard head.isOld || head.headers["host"].count == 1 else {
      return refuse(
        ServerRefusal(status: 400, code: "bad_request", message: "a request needs exactly one Host header"), context)
    }
    let target: RequestTarget
    do {
      target = try RequestTarget(parsing: head.uri)
    } catch {
      return refuse(error, context)
    }
    if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > options.maxBodyBytes {
      return refuse(tooLarge, context)
    }
    state = .receiving(head: head, target: target, body: [])
    arm(options.bodyTimeout, context) { handler, context in
      handler.refuse(
        ServerRefusal(status: 408, code: "timeout", message: "the body did not arrive in time"), context)
    }
    if !head.isOld, head.headers.first(name: "expect")?.lowercased() == "100-continue" {
      let go = HTTPResponseHead(version: .http1_1, status: .continue)
      context.writeAndFlush(wrapOutboundOut(.head(go)), promise: nil)
    }
  }

  // MARK: The answer

  private func respond(
    _ head: HTTPRequestHead, _ target: RequestTarget, _ body: [UInt8], _ context: ChannelHandlerContext
  ) {
    deadline?.cancel()
    state = .responding(keepAlive: head.isKeepAlive)
    let request = ServerRequest(
      method: head.method.rawValue, target: target, headers: head.headers.map { (name: $0.name, value: $0.value) },
      body: body)
    let handler = self.handler
    let options = self.options
    let loop = context.eventLoop
    let bound = NIOLoopBound(Place(connection: self, context: context), eventLoop: loop)
    task = Self.start { await Self.serve(request, head, bound, handler, options, loop) }
  }

  // Apart from `respond`, where the compiler (6.3) gives up on telling what the task may capture.
  private static func start(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never> { Task { await work() } }

  private static func serve(
    _ request: ServerRequest, _ head: HTTPRequestHead, _ bound: Bound, _ handler: @escaping HTTPServer.Handler,
    _ options: HTTPServer.Options, _ loop: any EventLoop
  ) async {
    let response = await Self.answer(request, handler, options)
    guard let stream = response.stream, request.method != "HEAD" else {
      return loop.execute { bound.value.connection.write(response, to: head, bound.value.context) }
    }
    let writer = ServerResponseWriter { bytes in
      try await loop.flatSubmit { bound.value.connection.writePiece(bytes, bound.value.context) }.get()
    }
    loop.execute { bound.value.connection.writeHead(response, to: head, streaming: true, bound.value.context) }
    do {
      try await stream(writer)
      loop.execute { bound.value.connection.finish(bound.value.context) }
    } catch {
      if !Task.isCancelled { options.onHandlerError(request.method, request.path, error) }
      loop.execute { bound.value.context.close(promise: nil) }
    }
  }

  private static func answer(
    _ request: ServerRequest, _ handler: HTTPServer.Handler, _ options: HTTPServer.Options
  ) async -> ServerResponse {
    do {
      let response = try await handler(request)
      guard response.headers.allSatisfy({ isField(name: $0.name, value: $0.value) }), 200...599 ~= response.status
      else { throw UnsendableResponse() }
      return response
    } catch let refusal as ServerRefusal {
      return refusal.response
    } catch {
      if !(error is CancellationError) { options.onHandlerError(request.method, request.path, error) }
      return .failure(500, code: "internal_error", message: "the server failed; its log says why")
    }
  }

  /// Keeps line breaks and other control bytes out of header lines (response splitting).
  private static func isField(name: String, value: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }
      && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
  }

  private func write(_ response: ServerResponse, to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    guard case .responding = state, context.channel.isActive else { return }
    writeHead(response, to: head, streaming: response.stream != nil, context)
    if !response.body.isEmpty, head.method != .HEAD, response.allowsBody {
      let buffer = context.channel.allocator.buffer(bytes: response.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
    }
    finish(context)
  }

  private func writeHead(
    _ response: ServerResponse, to head: HTTPRequestHead, streaming: Bool, _ context: ChannelHandlerContext
  ) {
    guard case .responding(var keepAlive) = state, context.channel.isActive else { return }
    if stopping || (streaming && head.isOld) { keepAlive = false }
    if response.header("connection")?.lowercased() == "close" { keepAlive = false }
    state = .responding(keepAlive: keepAlive)
    // A stream to an HTTP/1.0 client ends with the connection; the encoder would send it chunks it can't read.
    let version: HTTPVersion = streaming && head.isOld ? .http1_0 : .http1_1
    var answer = HTTPResponseHead(version: version, status: HTTPResponseStatus(statusCode: response.status))
    let ours: Set<String> = ["content-length", "transfer-encoding", "connection", "date"]
    for field in response.headers where !ours.contains(field.name.lowercased()) {
      answer.headers.add(name: field.name, value: field.value)
    }
    answer.headers.add(name: "Date", value: HTTPDate.text(time(nil)))
    if !streaming, response.allowsBody {
      answer.headers.add(name: "Content-Length", value: String(response.body.count))
    }
    if !keepAlive {
      answer.headers.add(name: "Connection", value: "close")
    } else if head.isOld {
      answer.headers.add(name: "Connection", value: "keep-alive")
    }
    context.write(wrapOutboundOut(.head(answer)), promise: nil)
    if streaming { context.flush() }
  }

  private func writePiece(_ bytes: [UInt8], _ context: ChannelHandlerContext) -> EventLoopFuture<Void> {
    guard case .responding = state, context.channel.isActive else {
      return context.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
    }
    let promise = context.eventLoop.makePromise(of: Void.self)
    armWrite(promise.futureResult, context)
    let buffer = context.channel.allocator.buffer(bytes: bytes)
    context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
    return promise.futureResult
  }

  private func finish(_ context: ChannelHandlerContext) {
    guard case .responding(let keepAlive) = state, context.channel.isActive else { return }
    task = nil
    if keepAlive && !stopping {
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      state = .idle
      waitForHead(context)
      resume(context)
    } else {
      state = .ending
      let promise = context.eventLoop.makePromise(of: Void.self)
      armWrite(promise.futureResult, context)
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      promise.futureResult.whenComplete { _ in bound.value.close(promise: nil) }
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }
  }

  /// Answers an error before the request is whole, then closes in two steps: a plain close with bytes still unread would
  /// send a reset, and the client might never see the answer.
  private func refuse(_ refusal: ServerRefusal, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    state = .responding(keepAlive: false)
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
    let response = refusal.response
    writeHead(response, to: head, streaming: false, context)
    context.write(
      wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: response.body)))), promise: nil)
    state = .ending
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.close(mode: .output, promise: nil)
    arm(.seconds(1), context) { _, context in context.close(promise: nil) }
  }

  // MARK: Deadlines

  private func waitForHead(_ context: ChannelHandlerContext) {
    arm(options.idleTimeout, context) { _, context in context.close(promise: nil) }
  }

  private func armWrite(_ written: EventLoopFuture<Void>, _ context: ChannelHandlerContext) {
    arm(options.writeTimeout, context) { _, context in context.close(promise: nil) }
    let bound = NIOLoopBound(deadline, eventLoop: context.eventLoop)
    written.whenComplete { _ in bound.value?.cancel() }
  }

  private func arm(
    _ time: Duration, _ context: ChannelHandlerContext,
    _ act: @escaping @Sendable (ConnectionHandler, ChannelHandlerContext) -> Void
  ) {
    deadline?.cancel()
    let bound = NIOLoopBound(Place(connection: self, context: context), eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) { act(bound.value.connection, bound.value.context) }
  }
}

/// A handler's answer that has no place on the wire.
private struct UnsendableResponse: Error, CustomStringConvertible {
  let description = "the handler's answer has a header with control characters, or a status outside 200–599"
}

extension ServerResponse {
  /// RFC 9110 §6.4.1: these never have a body.
  var allowsBody: Bool { status != 204 && status != 304 }
}

extension HTTPRequestHead {
  /// From a client before HTTP/1.1: no chunks, no keep-alive unless asked for, no Host needed.
  fileprivate var isOld: Bool { version != .http1_1 }
}
