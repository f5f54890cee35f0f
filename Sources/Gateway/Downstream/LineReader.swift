import NIOCore

/// Cuts what a program writes into lines, none of them longer than a limit.
final class LineReader: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  /// One line without its end.
  enum Line: Sendable {
    case whole([UInt8])
    /// Too long: its beginning and its end alone.
    case cut([UInt8], tail: [UInt8])
  }

  /// How much of a line that is too long is kept.
  private static let kept = 512
  /// And of its end.
  private static let keptTail = 64
  private let limit: Int
  private let deliver: @Sendable (Line) -> Void
  private let ended: @Sendable () -> Void
  private var line: [UInt8] = []
  private var tail: [UInt8] = []
  private var isSkipping = false

  init(limit: Int, deliver: @escaping @Sendable (Line) -> Void, ended: @escaping @Sendable () -> Void) {
    self.limit = limit
    self.deliver = deliver
    self.ended = ended
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var rest = unwrapInboundIn(data).readableBytesView[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      take(rest[..<end])
      finish()
      rest = rest[rest.index(after: end)...]
    }
    take(rest)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !line.isEmpty { finish() }
    ended()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func take(_ bytes: some Collection<UInt8>) {
    if isSkipping { return keepTail(bytes) }
    if line.count + bytes.count > limit {
      isSkipping = true
      keepTail(line)
      line += bytes.prefix(Self.kept)
      if line.count > Self.kept { line.removeLast(line.count - Self.kept) }
      keepTail(bytes)
    } else {
      line += bytes
    }
  }

  private func keepTail(_ bytes: some Collection<UInt8>) {
    tail = (tail + bytes.suffix(Self.keptTail)).suffix(Self.keptTail)
  }

  private func finish() {
    deliver(isSkipping ? .cut(line, tail: tail) : .whole(line))
    (line, tail) = ([], [])
    isSkipping = false
  }
}
