import AgentLoop
import Glibc

/// No whole answer came.
struct ExchangeError: Error, CustomStringConvertible {
  let description: String
}

/// One POST over a TCP connection of its own: on the link to a gateway that costs 0.1 ms, and no connection is ever stale.
struct Exchange {
  let target: HTTPTarget
  var headers: [(name: String, value: String)]
  let body: [UInt8]
  /// On `now()`'s clock.
  let deadline: Double
  /// What others may make us hold.
  var bodyLimit = 8 << 20

  /// Sends, and hands every piece of the body to `receive` together with what is known of the answer. `receive` ends the
  /// exchange by returning false.
  func run(_ receive: (AnswerReader, [UInt8]) -> Bool) throws(ExchangeError) {
    let connection = try connect()
    defer { close(connection) }
    try send(connection)
    var reader = AnswerReader()
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    var total = 0
    while !reader.isComplete {
      try wait(connection, POLLIN, "waiting for the answer")
      let count = read(connection, &buffer, buffer.count)
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        throw trouble("the connection broke: \(lastError())")
      }
      if count == 0 {
        guard reader.close() else { throw trouble("the connection was closed before the answer was whole") }
        break
      }
      total += count
      if total > bodyLimit { throw trouble("the answer has more than \(bodyLimit >> 20) MiB") }
      let piece: [UInt8]
      do throws(AnswerReader.Broken) { piece = try reader.take(buffer[..<count]) } catch { throw trouble(error.reason) }
      if !piece.isEmpty, !receive(reader, piece) { return }
    }
    _ = receive(reader, [])
  }

  /// The whole answer.
  func whole() throws(ExchangeError) -> (status: Int, headers: [String: String], body: [UInt8]) {
    var (status, headers, body) = (0, [String: String](), [UInt8]())
    try run { reader, piece in
      (status, headers) = (reader.status, reader.headers)
      body += piece
      return true
    }
    return (status, headers, body)
  }

  private func trouble(_ words: String) -> ExchangeError { ExchangeError(description: "\(target.host): \(words)") }

  private func connect() throws(ExchangeError) -> Int32 {
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard connection >= 0 else { throw trouble("no socket: \(lastError())") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = target.port.bigEndian
    address.sin_addr.s_addr = target.address.bigEndian
    let answer = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    do throws(ExchangeError) {
      if answer < 0 {
        guard errno == EINPROGRESS else { throw trouble("can't be reached: \(lastError())") }
        try wait(connection, POLLOUT, "connecting")
        var (code, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        getsockopt(connection, SOL_SOCKET, SO_ERROR, &code, &size)
        guard code == 0 else { throw trouble("can't be reached: \(String(cString: strerror(code)))") }
      }
      // Head and body are two writes; Nagle would hold the second one back.
      var on: Int32 = 1
      setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      return connection
    } catch {
      close(connection)
      throw error
    }
  }

  private func send(_ connection: Int32) throws(ExchangeError) {
    let bytes = Array(target.head(headers, bodyCount: body.count).utf8) + body
    var sent = 0
    while sent < bytes.count {
      let events = try wait(connection, POLLOUT | POLLIN, "sending")
      // Who answers before the end has read enough.
      if events & POLLIN != 0 { return }
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        throw trouble("the connection broke: \(lastError())")
      }
      sent += count
    }
  }

  @discardableResult
  private func wait(_ connection: Int32, _ events: Int32, _ doing: String) throws(ExchangeError) -> Int32 {
    while true {
      var entry = pollfd(fd: connection, events: Int16(events), revents: 0)
      let count = poll(&entry, 1, milliseconds(until: deadline))
      if count > 0 { return Int32(entry.revents) }
      if count < 0, errno != EINTR { throw trouble("\(doing): \(lastError())") }
      if now() >= deadline { throw trouble("no answer in time (\(doing))") }
    }
  }
}
