import Glibc
import Linux
import Synchronization

/// Hears everything that a Redis carries out, on a connection of its own (MONITOR), keeps it in a file, and has it judged as it comes.
final class Monitor: Sendable {
  private struct State {
    var ledger = Ledger()
    var failure: String?
    var echoes: Set<String> = []
    var isEnding = false
    var order: Order?
    var orderTime: Double?
  }
  private struct Order {
    var condition: @Sendable (Ledger) -> Bool
    var action: @Sendable () throws -> Void
  }
  private let state = Mutex(State())
  private let socket: Descriptor
  private let file: Descriptor
  private let began: ContinuousClock.Instant

  /// Connects, and hears what comes from then on.
  /// - Parameters:
  ///   - log: the file; it must not be there yet.
  ///   - began: what times are counted from.
  init(port: UInt16, log: String, began: ContinuousClock.Instant) throws(LinuxError) {
    self.began = began
    file = try Descriptor.open(log, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
    let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    socket = Descriptor(owning: try check(Glibc.socket(AF_INET, stream, 0), "socket", "AF_INET"))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let number = socket.number
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try check(result, "connect", "127.0.0.1:\(port)")
    try socket.write(Array("MONITOR\r\n".utf8))
    Thread.detach { [self] in listen() }
  }

  /// What it knows by now.
  func look<Value: Sendable>(_ body: (Ledger) -> Value) -> Value { state.withLock { body($0.ledger) } }

  /// Why it hears nothing more; nil as long as it does.
  var failure: String? { state.withLock { $0.failure } }

  /// Whether somebody's ECHO of this text was heard, and with it everything before.
  func hasHeard(echo text: String) -> Bool { state.withLock { $0.echoes.contains(text) } }

  /// Has something done once, right when what was heard meets a condition: by the thread that hears, for a writer is far away when
  /// somebody else has looked.
  func order(
    when condition: @escaping @Sendable (Ledger) -> Bool, _ action: @escaping @Sendable () throws -> Void
  ) {
    state.withLock { state in
      state.order = Order(condition: condition, action: action)
      state.orderTime = nil
    }
  }

  /// When the last order was carried out; nil: not yet.
  var orderTime: Double? { state.withLock { $0.orderTime } }

  /// Hears nothing more, and judges what is left.
  func end() {
    state.withLock { state in
      state.isEnding = true
      state.ledger.finish()
    }
    withExtendedLifetime(socket) { _ = shutdown(socket.number, Int32(SHUT_RDWR)) }
  }

  private func listen() {
    var rest: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = withExtendedLifetime(socket) { recv(socket.number, &buffer, buffer.count, 0) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return fail(count < 0 ? "recv: errno \(errno)" : "Redis hung up") }
      let time = (ContinuousClock.now - began) / .seconds(1)
      do { try file.write(buffer[..<count]) } catch { return fail("\(error)") }
      rest += buffer[..<count]
      var start = rest.startIndex
      while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
        take(rest[start..<end], time)
        start = end + 1
      }
      rest.removeSubrange(..<start)
    }
  }

  private func take(_ bytes: ArraySlice<UInt8>, _ time: Double) {
    let text = String(decoding: bytes.dropFirst().dropLast(bytes.last == UInt8(ascii: "\r") ? 1 : 0), as: UTF8.self)
    guard bytes.first == UInt8(ascii: "+") else { return fail("'\(text)' is no line of MONITOR") }
    if text == "OK" { return }
    guard let line = MonitorLine(text) else { return fail("'\(text)' can't be read") }
    let order: Order? = state.withLock { state in
      if state.isEnding { return nil }
      state.ledger.read(line, at: time)
      if line.words.count == 2, line.words[0].lowercased() == "echo" { state.echoes.insert(line.words[1]) }
      guard let order = state.order, order.condition(state.ledger) else { return nil }
      state.order = nil
      state.orderTime = (ContinuousClock.now - began) / .seconds(1)
      return order
    }
    do { try order?.action() } catch { fail("\(error)") }
  }

  private func fail(_ reason: String) {
    state.withLock { state in
      if !state.isEnding, state.failure == nil { state.failure = reason }
    }
  }
}
