import Configuration
import EventStream
import JSONText

/// What is between a provider's stream and the agent: counts, and passes the bytes on untouched. Pure.
///
/// Where the gateway itself asked a chat stream for its counts, the chunk that carries nothing else is taken out again: a
/// client that didn't ask may stumble over a chunk without choices.
struct StreamMeter: Sendable {
  private(set) var meter: UsageMeter
  private var parser: SSEParser
  private let dropsCounts: Bool

  init(_ dialect: ModelDialect, dropsCounts: Bool) {
    meter = UsageMeter(dialect)
    parser = SSEParser(keepsRaw: dropsCounts)
    self.dropsCounts = dropsCounts
  }

  /// What the agent gets for these bytes of the provider's.
  mutating func pass(_ bytes: [UInt8]) -> [UInt8] {
    let events = parser.feed(bytes)
    for event in events { meter.take(event) }
    guard dropsCounts else { return bytes }
    return events.flatMap { Self.carriesCountsAlone($0) ? [] : $0.raw }
  }

  /// What is left at the stream's end.
  mutating func end() -> [UInt8] { dropsCounts ? parser.rest() : [] }

  private static func carriesCountsAlone(_ event: SSEEvent) -> Bool {
    guard event.data.first == UInt8(ascii: "{"), JSONSkim.value(event.data, ["usage"])?.object != nil else {
      return false
    }
    return JSONSkim.value(event.data, ["choices"])?.array?.isEmpty == true
  }
}
