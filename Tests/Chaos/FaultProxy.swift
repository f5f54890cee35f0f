import Addresses
import CLinux
import Glibc
import Linux
import Parts
import Synchronization

/// Stands between the system and its Hub, and breaks things: answers errors, with or without the effect, lets callers wait
/// for ever, dribbles, hangs up before, within and after an answer, and shows lists as they were a while ago.
final class FaultProxy: Sendable {
  /// What is done to one request.
  enum Fault: String, CaseIterable, Sendable {
    case none
    case error500 = "500", error503 = "503", error429 = "429"
    case errorAfterEffect = "500 after the effect"
    case hang = "hangs"
    case hangAfterEffect = "hangs after the effect"
    case slow = "slow body"
    case cutBefore = "cut before"
    case cutAfter = "cut after the effect"
    case cutWithin = "cut within the answer"
    case stale = "stale list"
  }
  private static let weights: [(Fault, Int)] = [
    (.none, 8200), (.error500, 300), (.error503, 100), (.error429, 150), (.errorAfterEffect, 200), (.hang, 15),
    (.hangAfterEffect, 15), (.slow, 200), (.cutBefore, 250), (.cutAfter, 300), (.cutWithin, 120),
  ]

  private struct State {
    var chance: SeededChance
    var isFaulty = true
    var isOut = false
    var isOver = false
    var counts: [Fault: Int] = [:]
    /// Lists as they were answered, newest last.
    var lists: [String: [[UInt8]]] = [:]
  }
  private let state: Mutex<State>
  private let hubPort: UInt16
  private let stripsKeys: Bool
  /// Where callers connect.
  let port: Int
  private let listener: Descriptor

  init(hubPort: UInt16, stripsKeys: Bool, seed: UInt64) throws {
    self.hubPort = hubPort
    self.stripsKeys = stripsKeys
    state = Mutex(State(chance: SeededChance(seed: seed)))
    guard let address = IPv4Address("127.0.0.1") else { throw ChaosError("127.0.0.1 is no address") }
    (listener, port) = try TCPListener.open(address, port: 0)
    Thread.detach { [self] in serve() }
  }

  /// From now on everything works, and whoever was kept waiting is let go.
  func heal() {
    state.withLock { state in
      state.isFaulty = false
      state.isOut = false
    }
  }

  /// Nobody is answered while this is true.
  func setOut(_ isOut: Bool) { state.withLock { $0.isOut = isOut && $0.isFaulty } }

  func end() { state.withLock { $0.isOver = true } }

  /// How often each fault happened.
  var counts: [(what: String, count: Int)] {
    let counts = state.withLock { $0.counts }
    return Fault.allCases.compactMap { fault in
      counts[fault].map { (fault == .none ? "untouched" : fault.rawValue, $0) }
    }
  }

  private func serve() {
    while !state.withLock({ $0.isOver }) {
      guard let readable = try? waitReadable([listener], timeout: .milliseconds(200)), readable[0] else { continue }
      let number = withExtendedLifetime(listener) { cl_accept(listener.number) }
      if number < 0 { continue }
      let caller = Descriptor(owning: number)
      Thread.detach { [self] in
        attend(caller)
        caller.close()
      }
    }
    listener.close()
  }

  /// One connection is one request: whoever asks again connects again.
  private func attend(_ caller: Descriptor) {
    guard let request = read(from: caller, isWhole: Self.isWhole) else { return }
    let target = Self.target(of: request)
    let isList = target.hasPrefix("GET /api/v1/notifications?agent=*") || target.contains("agent=%2A")
    let (fault, old): (Fault, [UInt8]?) = state.withLock { state in
      guard state.isFaulty else { return (.none, nil) }
      if state.isOut { return (.cutBefore, nil) }
      var fault = state.chance.one(of: Self.weights) ?? .none
      var old: [UInt8]?
      if isList, fault == .none, state.chance.share() < 0.15 {
        old = state.lists[target]?.randomElement(using: &state.chance)
        if old != nil { fault = .stale }
      }
      state.counts[fault, default: 0] += 1
      return (fault, old)
    }
    switch fault {
    case .error500: return send(Self.failure("500 Internal Server Error"), to: caller)
    case .error503: return send(Self.failure("503 Service Unavailable"), to: caller)
    case .error429: return send(Self.failure("429 Too Many Requests", "Retry-After: 1\r\n"), to: caller)
    case .hang: return hold(caller)
    case .cutBefore: return
    case .stale:
      if let old { send(old, to: caller) }
      return
    default: break
    }
    guard let answer = forward(request) else { return }
    switch fault {
    case .errorAfterEffect: send(Self.failure("500 Internal Server Error"), to: caller)
    case .hangAfterEffect: hold(caller)
    case .cutAfter: return
    case .cutWithin: send(Array(answer.prefix(answer.count / 2)), to: caller)
    case .slow: dribble(answer, to: caller)
    default: send(answer, to: caller)
    }
    if isList {
      state.withLock { state in
        var known = state.lists[target] ?? []
        known.append(answer)
        state.lists[target] = known.suffix(20)
      }
    }
  }

  /// Says nothing until the caller gives up or everything is to work again.
  private func hold(_ caller: Descriptor) {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline, state.withLock({ $0.isFaulty && !$0.isOver }) {
      if let readable = try? waitReadable([caller], timeout: .milliseconds(100)), readable[0] { return }
    }
  }

  private func dribble(_ answer: [UInt8], to caller: Descriptor) {
    let piece = max(1, answer.count / 10)
    for start in stride(from: 0, to: answer.count, by: piece) {
      send(Array(answer[start..<min(start + piece, answer.count)]), to: caller)
      if state.withLock({ $0.isFaulty }) { usleep(150_000) }
    }
  }

  private func forward(_ request: [UInt8]) -> [UInt8]? {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if number < 0 { return nil }
    let hub = Descriptor(owning: number)
    defer { hub.close() }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = hubPort.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(hub.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { return nil }
    send(Self.rewritten(request, stripsKeys: stripsKeys), to: hub)
    return read(from: hub) { _ in false }
  }

  // MARK: Bytes

  /// Reads until `isWhole` or the other's end; nil where nothing came.
  private func read(from peer: Descriptor, isWhole: ([UInt8]) -> Bool) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      guard let readable = try? waitReadable([peer], timeout: .seconds(1)) else { return nil }
      if state.withLock({ $0.isOver }) { return nil }
      if !readable[0] { continue }
      let count = withExtendedLifetime(peer) { recv(peer.number, &buffer, buffer.count, 0) }
      if count <= 0 { return bytes.isEmpty ? nil : bytes }
      bytes += buffer[..<count]
      if isWhole(bytes) { return bytes }
    }
    return nil
  }

  private func send(_ bytes: [UInt8], to peer: Descriptor) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        withExtendedLifetime(peer) {
          Glibc.send(
            peer.number, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
        }
      }
      if count <= 0 { return }
      sent += count
    }
  }

  private static let blank = Array("\r\n\r\n".utf8)

  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for place in 0...(bytes.count - 4) where bytes[place] == 13 && Array(bytes[place..<place + 4]) == blank {
      return place + 4
    }
    return nil
  }

  private static func lines(_ head: some Sequence<UInt8>) -> [Substring] {
    String(decoding: Array(head), as: UTF8.self).split(separator: "\r\n")
  }

  static func isWhole(_ bytes: [UInt8]) -> Bool {
    guard let end = endOfHead(bytes) else { return false }
    let length = lines(bytes[..<end]).first { $0.lowercased().hasPrefix("content-length:") }
      .flatMap { Int($0.dropFirst(15).filter { !$0.isWhitespace }) }
    return bytes.count - end >= length ?? 0
  }

  static func target(of request: [UInt8]) -> String {
    lines(request.prefix { $0 != 13 }).first.map(String.init) ?? ""
  }

  /// The same request on a connection that ends with its answer.
  static func rewritten(_ request: [UInt8], stripsKeys: Bool) -> [UInt8] {
    guard let end = endOfHead(request) else { return request }
    let kept = lines(request[..<end]).filter { line in
      let lower = line.lowercased()
      return !lower.hasPrefix("connection:") && !(stripsKeys && lower.hasPrefix("idempotency-key:"))
    }
    return Array((kept + ["Connection: close"]).joined(separator: "\r\n").utf8) + blank + request[end...]
  }

  private static func failure(_ status: String, _ headers: String = "") -> [UInt8] {
    let body = #"{"error":{"code":"chaos","message":"it is out of order"}}"#
    return Array(
      ("HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n\(headers)Content-Length: \(body.utf8.count)\r\n"
        + "Connection: close\r\n\r\n\(body)").utf8)
  }
}
