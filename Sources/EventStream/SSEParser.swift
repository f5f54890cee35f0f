/// One server-sent event.
public struct SSEEvent: Sendable, Hashable {
  /// Its `event` field; empty where it has none.
  public var name: String
  /// Its `data` lines, with line breaks between them.
  public var data: [UInt8]
  /// The bytes that made it, where the parser was asked to keep them.
  public var raw: [UInt8]
  /// An event of its parts.
  public init(name: String = "", data: [UInt8] = [], raw: [UInt8] = []) {
    (self.name, self.data, self.raw) = (name, data, raw)
  }
}

/// Cuts a stream of server-sent events into events as its bytes come in, wherever they are split
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6). Pure.
public struct SSEParser: Sendable {
  /// An event may have so many bytes; what is longer is passed over.
  public static let limit = 16 << 20
  private let keepsRaw: Bool
  private var line: [UInt8] = []
  private var event = SSEEvent()
  private var hasData = false
  /// The last byte was a carriage return: a line feed after it belongs to the same line break.
  private var afterReturn = false

  /// - Parameter keepsRaw: whether events carry the bytes that made them.
  public init(keepsRaw: Bool = false) { self.keepsRaw = keepsRaw }

  /// The events that these bytes complete.
  public mutating func feed(_ bytes: [UInt8]) -> [SSEEvent] {
    var events: [SSEEvent] = []
    var start = 0
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte == 0x0A, afterReturn, index == start {
        afterReturn = false
        if keepsRaw { event.raw.append(byte) }
        index += 1
        start = index
        continue
      }
      guard byte == 0x0A || byte == 0x0D else {
        afterReturn = false
        index += 1
        continue
      }
      line += bytes[start..<index]
      if keepsRaw { event.raw += bytes[start...index] }
      afterReturn = byte == 0x0D
      index += 1
      start = index
      if let event = endLine() { events.append(event) }
    }
    if start < bytes.count {
      line += bytes[start...]
      if keepsRaw { event.raw += bytes[start...] }
    }
    if line.count + event.data.count > Self.limit || event.raw.count > Self.limit {
      // Too long to be read; its bytes are passed on all the same.
      let raw = event.raw
      event = SSEEvent()
      (line, hasData) = ([], false)
      if keepsRaw { events.append(SSEEvent(raw: raw)) }
    }
    return events
  }

  /// The bytes of an event that never ended; nothing may be lost where bytes are relayed by event.
  public mutating func rest() -> [UInt8] {
    defer { event.raw = [] }
    return event.raw
  }

  private mutating func endLine() -> SSEEvent? {
    defer { line.removeAll(keepingCapacity: true) }
    if line.isEmpty {
      defer {
        event = SSEEvent()
        hasData = false
      }
      // Without data it is no event; its bytes (comments keep connections open) are passed on all the same.
      return hasData || keepsRaw ? event : nil
    }
    if let value = field("data:") {
      if hasData { event.data.append(0x0A) }
      hasData = true
      event.data += value
    } else if let value = field("event:") {
      event.name = String(decoding: value, as: UTF8.self)
    }
    return nil
  }

  /// What stands behind a field's name, without the one blank that may come first.
  private func field(_ name: StaticString) -> ArraySlice<UInt8>? {
    let count = name.utf8CodeUnitCount
    guard line.count >= count else { return nil }
    for index in 0..<count where line[index] != name.utf8Start[index] { return nil }
    let value = line[count...]
    return value.first == 0x20 ? value.dropFirst() : value
  }
}

extension SSEParser {
  /// What ends an event. Some servers end with their last event's data, without it.
  public static let end: [UInt8] = [10, 10]

  /// Whether a Content-Type says that server-sent events follow.
  public static func reads(_ contentType: String?) -> Bool {
    contentType?.lowercased().hasPrefix("text/event-stream") == true
  }

  /// The data of each event of a stream that is over.
  public static func data(in body: [UInt8]) -> [[UInt8]] {
    var parser = SSEParser()
    return parser.feed(body + end).map(\.data)
  }
}
