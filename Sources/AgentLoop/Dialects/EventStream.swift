/// Reads `text/event-stream` as it comes in (HTML Living Standard, section 9.2.6): pieces of any size in, whole events out.
public struct EventStream: Sendable {
  /// One event; fields that the loop doesn't need are left out.
  public struct Event: Sendable, Hashable {
    /// `event:`; empty where there was none.
    public var name: String
    /// `data:`, lines joined.
    public var data: String
    /// An event of its parts.
    public init(name: String = "", data: String) {
      self.name = name
      self.data = data
    }
  }
  private var line: [UInt8] = []
  private var name = ""
  private var data: [String] = []
  private var skipsLineFeed = false

  /// Nothing read yet.
  public init() {}

  /// Takes the next bytes; gives the events that end in them.
  public mutating func take(_ bytes: some Sequence<UInt8>) -> [Event] {
    var events: [Event] = []
    for byte in bytes {
      // A line ends with CR, LF, or both.
      if skipsLineFeed {
        skipsLineFeed = false
        if byte == 10 { continue }
      }
      guard byte == 10 || byte == 13 else {
        line.append(byte)
        continue
      }
      skipsLineFeed = byte == 13
      if let event = endLine() { events.append(event) }
    }
    return events
  }

  private mutating func endLine() -> Event? {
    let text = String(decoding: line, as: UTF8.self)
    line = []
    if text.isEmpty {
      defer {
        name = ""
        data = []
      }
      return data.isEmpty ? nil : Event(name: name, data: data.joined(separator: "\n"))
    }
    let colon = text.firstIndex(of: ":") ?? text.endIndex
    var value = colon == text.endIndex ? "" : text[text.index(after: colon)...]
    if value.first == " " { value = value.dropFirst() }
    switch text[..<colon] {
    case "event": name = String(value)
    case "data": data.append(String(value))
    default: break
    }
    return nil
  }
}
