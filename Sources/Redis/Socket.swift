import CHiredis
import Glibc

/// One connected hiredis context; only its connection's thread touches it.
struct Socket: ~Copyable {
  private let context: UnsafeMutablePointer<redisContext>
  private var timeout: Duration

  /// Connects without logging in. `.failure` is what the system said.
  static func connect(_ address: RedisURL.Address, timeout: Duration) -> Connected {
    let limit = timeval(timeout)
    let made: UnsafeMutablePointer<redisContext>?
    switch address {
    case .tcp(let host, let port): made = redisConnectWithTimeout(host, Int32(port), limit)
    case .unix(let path): made = redisConnectUnixWithTimeout(path, limit)
    case .sentinels: return .failed("sentinels are asked one by one")
    }
    guard let made else { return .failed("out of memory") }
    guard made.pointee.err == 0 else {
      let reason = Self.message(made)
      redisFree(made)
      return .failed(reason)
    }
    // Finds a peer that vanished without a word, every 15 s.
    if case .tcp = address { redisEnableKeepAlive(made) }
    return .connected(Socket(context: made))
  }
  enum Connected: ~Copyable {
    case connected(Socket)
    case failed(String)
  }

  private init(context: UnsafeMutablePointer<redisContext>) {
    self.context = context
    self.timeout = .zero
  }
  deinit { redisFree(context) }

  var descriptor: Int32 { context.pointee.fd }

  /// An idle connection has nothing to read: if it has, the server closed it (or broke the protocol).
  var isStale: Bool {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, 0) != 0
  }

  enum Reply {
    case value(RedisValue)
    case timedOut
    case lost(String)
  }

  /// Sends one command and reads its reply; after anything but `.value` the socket is of no more use.
  mutating func command(_ arguments: [RedisArgument], timeout: Duration) -> Reply {
    if timeout != self.timeout {
      guard redisSetTimeout(context, timeval(timeout)) == REDIS_OK else { return .lost(Self.message(context)) }
      self.timeout = timeout
    }
    var lengths = arguments.map { $0.bytes.count }
    let reply = arguments.flatMap { $0.bytes }.withUnsafeBufferPointer { all -> UnsafeMutableRawPointer? in
      // An empty buffer may have no address, but hiredis copies zero bytes from it then.
      var offset = 0
      var pointers: [UnsafePointer<CChar>?] = lengths.map { length in
        defer { offset += length }
        return all.baseAddress.map { UnsafeRawPointer($0 + offset).assumingMemoryBound(to: CChar.self) }
      }
      return redisCommandArgv(context, Int32(arguments.count), &pointers, &lengths)
    }
    guard let reply else { return failure() }
    defer { freeReplyObject(reply) }
    return .value(Self.value(reply.assumingMemoryBound(to: redisReply.self).pointee))
  }

  /// The next thing that the server says by itself. Where it says nothing for `wait` it is asked whether it is there, which a server
  /// of RESP2 answers to subscribers too: keepalive finds only the next hop alive, as a stunnel on this host. Then anything that
  /// comes within `timeout` will do, and without it this is `.timedOut`.
  mutating func next(within wait: Duration, timeout: Duration) -> Reply {
    var reply: UnsafeMutableRawPointer?
    // Something that came together with what was read before is in hiredis's buffer, where poll doesn't see it.
    guard redisGetReplyFromReader(context, &reply) == REDIS_OK else { return .lost(Self.message(context)) }
    if reply == nil {
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let milliseconds = Int32(clamping: max(0, Int64(wait / .milliseconds(1))))
      if Glibc.poll(&poll, 1, milliseconds) == 0 {
        let ping = "*1\r\n$4\r\nPING\r\n"
        guard redisAppendFormattedCommand(context, ping, ping.utf8.count) == REDIS_OK else {
          return .lost(Self.message(context))
        }
      }
      guard redisSetTimeout(context, timeval(timeout)) == REDIS_OK else { return .lost(Self.message(context)) }
      self.timeout = timeout
      // Sends what was appended, and reads.
      guard redisGetReply(context, &reply) == REDIS_OK else { return failure() }
    }
    guard let reply else { return .value(.null) }
    defer { freeReplyObject(reply) }
    return .value(Self.value(reply.assumingMemoryBound(to: redisReply.self).pointee))
  }

  /// Right after a call of hiredis failed.
  private func failure() -> Reply {
    let number = errno
    if context.pointee.err == REDIS_ERR_IO, number == EAGAIN || number == EWOULDBLOCK { return .timedOut }
    return .lost(Self.message(context))
  }

  private static func value(_ reply: redisReply) -> RedisValue {
    switch reply.type {
    case REDIS_REPLY_INTEGER: return .integer(reply.integer)
    case REDIS_REPLY_STRING: return .bytes(bytes(reply))
    case REDIS_REPLY_STATUS: return .status(String(decoding: bytes(reply), as: UTF8.self))
    case REDIS_REPLY_ERROR: return .error(String(decoding: bytes(reply), as: UTF8.self))
    case REDIS_REPLY_ARRAY:
      return .array(
        UnsafeBufferPointer(start: reply.element, count: reply.elements).map { $0.map { value($0.pointee) } ?? .null })
    default: return .null
    }
  }

  private static func bytes(_ reply: redisReply) -> [UInt8] {
    guard let text = reply.str else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: reply.len))
  }

  private static func message(_ context: UnsafeMutablePointer<redisContext>) -> String {
    withUnsafeBytes(of: context.pointee.errstr) { bytes in
      let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      return text.isEmpty ? "error \(context.pointee.err)" : text
    }
  }
}

extension timeval {
  /// Rounded down to microseconds, at least one: zero would mean "for ever".
  init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    self.init(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    if tv_sec == 0, tv_usec == 0 { tv_usec = 1 }
  }
}
