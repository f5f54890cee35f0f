import EventStream
import Testing

@Suite struct SSEParserTests {
  private static let text = "event: a\r\ndata: 1\r\n\r\n: a comment\ndata: 2\ndata:3\n\nid: 7\n\ndata: cut"

  private func feed(_ parser: inout SSEParser, by size: Int) -> [SSEEvent] {
    let bytes = Array(Self.text.utf8)
    return stride(from: 0, to: bytes.count, by: size).flatMap { start in
      parser.feed(Array(bytes[start..<min(start + size, bytes.count)]))
    }
  }

  @Test(arguments: [1, 2, 3, 7, 100])
  func eventsInPiecesOfAnySize(size: Int) {
    var parser = SSEParser()
    #expect(
      feed(&parser, by: size) == [SSEEvent(name: "a", data: Array("1".utf8)), SSEEvent(data: Array("2\n3".utf8))])
  }

  @Test(arguments: [1, 2, 3, 7, 100])
  func whatIsKeptOfTheBytesIsAllOfThem(size: Int) {
    var parser = SSEParser(keepsRaw: true)
    let events = feed(&parser, by: size)
    #expect(events.flatMap(\.raw) + parser.rest() == Array(Self.text.utf8))
  }

  @Test func anEventThatIsTooLongIsPassedOver() {
    var parser = SSEParser()
    #expect(parser.feed(Array("data: ".utf8) + Array(repeating: 120, count: SSEParser.limit)) == [])
    #expect(parser.feed(Array("\n\ndata: short\n\n".utf8)).last == SSEEvent(data: Array("short".utf8)))
    // Passed on all the same where the bytes are kept.
    var keeping = SSEParser(keepsRaw: true)
    let long = Array("data: ".utf8) + Array(repeating: 120, count: SSEParser.limit)
    let rest = Array("\n\ndata: short\n\n".utf8)
    #expect((keeping.feed(long) + keeping.feed(rest)).flatMap(\.raw) == long + rest)
  }
}
