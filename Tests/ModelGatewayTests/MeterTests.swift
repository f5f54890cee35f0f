import Configuration
import EventStream
import Testing

@testable import ModelGateway

/// Counting from the wire: the same whatever way the bytes are split.
@Suite struct MeterTests {
  static let anthropic = """
    event: message_start
    data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1001,"cache_creation_input_tokens":13,"cache_read_input_tokens":17,"output_tokens":1}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

    event: ping
    data: {"type":"ping"}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"input_tokens 99"}}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":4}}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}

    event: message_stop
    data: {"type":"message_stop"}


    """
  static let chat = """
    data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}

    data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}

    : still here

    data: {"choices":[],"usage":{"prompt_tokens":1018,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":17}}}

    data: [DONE]


    """
  static let responses = """
    event: response.created
    data: {"type":"response.created","response":{"usage":null}}

    event: response.output_text.delta
    data: {"type":"response.output_text.delta","delta":"hi"}

    event: response.completed
    data: {"type":"response.completed","response":{"output":[],"usage":{"input_tokens":1018,"output_tokens":7,"input_tokens_details":{"cached_tokens":17}}}}


    """
  static let streams: [(ModelDialect, String, ModelUsage)] = [
    (.anthropic, anthropic, ModelUsage(input: 1001, cacheRead: 17, cacheWrite: 13, output: 7)),
    (.openAIChat, chat, ModelUsage(input: 1001, cacheRead: 17, output: 7)),
    (.openAIResponses, responses, ModelUsage(input: 1001, cacheRead: 17, output: 7)),
  ]

  @Test(arguments: 0..<3, ["\n", "\r\n", "\r"])
  func countsAreTheSameHoweverTheBytesAreSplit(_ index: Int, _ lineBreak: String) {
    let (dialect, text, expected) = Self.streams[index]
    let bytes = Array(text.replacing("\n", with: lineBreak).utf8)
    for split in 0...bytes.count {
      var stream = StreamMeter(dialect, dropsCounts: false)
      let passed = stream.pass(Array(bytes[..<split])) + stream.pass(Array(bytes[split...])) + stream.end()
      #expect(passed == bytes)
      #expect(stream.meter.settled(requestBytes: 4000).usage == expected)
      #expect(!stream.meter.settled(requestBytes: 4000).isEstimate)
    }
  }

  @Test func aByteAtATimeIsTheSameToo() {
    for (dialect, text, expected) in Self.streams {
      var stream = StreamMeter(dialect, dropsCounts: false)
      for byte in text.utf8 { _ = stream.pass([byte]) }
      #expect(stream.meter.usage == expected)
    }
  }

  @Test func theCountsThatNobodyAskedForAreTakenOutAgain() {
    let bytes = Array(Self.chat.utf8)
    for split in 0...bytes.count {
      var stream = StreamMeter(.openAIChat, dropsCounts: true)
      let passed = stream.pass(Array(bytes[..<split])) + stream.pass(Array(bytes[split...])) + stream.end()
      let text = String(decoding: passed, as: UTF8.self)
      #expect(!text.contains("prompt_tokens"))
      #expect(text.contains(": still here\n\n"))
      #expect(text.hasSuffix("data: [DONE]\n\n"))
      #expect(stream.meter.usage.output == 7)
    }
  }

  @Test func aCutStreamIsAnEstimate() {
    var cut = UsageMeter(.anthropic)
    var parser = SSEParser()
    for event in parser.feed(Array(Self.anthropic.utf8.prefix(520))) { cut.take(event) }
    let (usage, isEstimate) = cut.settled(requestBytes: 4000)
    #expect(isEstimate)
    #expect(usage == ModelUsage(input: 1001, cacheRead: 17, cacheWrite: 13, output: 3))
    // Nothing was told at all: four bytes a token.
    #expect(UsageMeter(.openAIChat).settled(requestBytes: 4000).usage == ModelUsage(input: 1000))
  }

  @Test func aWholeAnswerTellsItsCounts() {
    var meter = UsageMeter(.anthropic)
    meter.take(whole: Array(#"{"content":[{"usage":1}],"usage":{"input_tokens":5,"output_tokens":2}}"#.utf8))
    #expect(meter.settled(requestBytes: 1).usage == ModelUsage(input: 5, output: 2))
    #expect(!meter.settled(requestBytes: 1).isEstimate)
  }

  @Test func anErrorInAStreamIsSeen() {
    var meter = UsageMeter(.anthropic)
    meter.take(
      SSEEvent(name: "error", data: Array(#"{"type":"error","error":{"type":"overloaded_error"}}"#.utf8)))
    #expect(meter.failure == "overloaded_error")
    #expect(ModelCall.status(of: "overloaded_error") == 529)
  }
}
