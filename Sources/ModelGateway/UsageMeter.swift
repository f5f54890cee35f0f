import Configuration
import EventStream
import JSONText

/// Reads a provider's counts out of what passes, in the words of its dialect. Pure.
///
/// - Anthropic: `message_start` tells the input, and each `message_delta` the output so far: the last one counts.
/// - Responses: `response.completed`, `.incomplete` or `.failed` tells all.
/// - Chat: the chunk with `usage`, the last one where the stream was asked for it.
struct UsageMeter: Sendable {
  let dialect: ModelDialect
  /// What was told so far.
  private(set) var usage = ModelUsage()
  /// The final counts were told.
  private(set) var isComplete = false
  /// The stream told of an error of its own: its type.
  private(set) var failure: String?
  private var deltas = 0
  private var deltaBytes = 0

  init(_ dialect: ModelDialect) { self.dialect = dialect }

  /// Takes one event of a stream.
  mutating func take(_ event: SSEEvent) {
    guard !event.data.isEmpty else { return }
    switch dialect {
    case .anthropic: takeAnthropic(event)
    case .openAIChat: takeChat(event)
    case .openAIResponses: takeResponses(event)
    }
  }

  /// Takes a whole answer with status 200.
  mutating func take(whole body: [UInt8]) {
    guard let counts = JSONSkim.value(body, ["usage"]), counts.object != nil else {
      deltaBytes = body.count
      return
    }
    read(counts)
    isComplete = true
  }

  /// The counts to be paid. Where the end was never told they are an estimate: four bytes a token, at least one a delta.
  func settled(requestBytes: Int) -> (usage: ModelUsage, isEstimate: Bool) {
    if isComplete { return (usage, false) }
    var estimate = usage
    if estimate.allInput == 0 { estimate.input = requestBytes / 4 }
    estimate.output = max(estimate.output, deltas, deltaBytes / 4)
    return (estimate, true)
  }

  private mutating func takeAnthropic(_ event: SSEEvent) {
    switch type(of: event) {
    case "message_start":
      if let counts = JSONSkim.value(event.data, ["message", "usage"]) { read(counts) }
    case "message_delta":
      if let counts = JSONSkim.value(event.data, ["usage"]) {
        read(counts)
        isComplete = true
      }
    case "message_stop": isComplete = true
    case "error": failure = JSONSkim.value(event.data, ["error", "type"])?.string ?? "api_error"
    case "content_block_delta": count(event.data, "\"text\":", "\"partial_json\":", "\"thinking\":")
    default: break
    }
  }

  private mutating func takeChat(_ event: SSEEvent) {
    if event.data.elementsEqual("[DONE]".utf8) { return }
    let members: [String: Range<Int>]
    do throws(SkimError) {
      members = try JSONSkim.members(event.data, ["usage", "error"])
    } catch { return }  // not an event of this dialect: there are no counts in it
    if let range = members["error"], event.data[range].first == UInt8(ascii: "{") {
      failure = JSONSkim.value(event.data, ["error", "type"])?.string ?? "server_error"
    }
    if let range = members["usage"], event.data[range].first == UInt8(ascii: "{"),
      let counts = JSONSkim.value(event.data, ["usage"])
    {
      read(counts)
      isComplete = true
    } else {
      count(event.data, "\"content\":", "\"arguments\":")
    }
  }

  private mutating func takeResponses(_ event: SSEEvent) {
    switch type(of: event) {
    case "response.completed", "response.incomplete":
      if let counts = JSONSkim.value(event.data, ["response", "usage"]), counts.object != nil {
        read(counts)
        isComplete = true
      }
    case "response.failed":
      failure = JSONSkim.value(event.data, ["response", "error", "code"])?.string ?? "server_error"
      if let counts = JSONSkim.value(event.data, ["response", "usage"]), counts.object != nil {
        read(counts)
        isComplete = true
      }
    case "error": failure = JSONSkim.value(event.data, ["code"])?.string ?? "server_error"
    case let type where type.hasSuffix(".delta"): count(event.data, "\"delta\":")
    default: break
    }
  }

  /// The event's name, or its data's `type` where a server leaves the name out.
  private func type(of event: SSEEvent) -> String {
    event.name.isEmpty ? JSONSkim.value(event.data, ["type"])?.string ?? "" : event.name
  }

  /// Overwrites what the counts tell: they are cumulative.
  private mutating func read(_ counts: JSONValue) {
    func count(_ value: JSONValue?) -> Int? {
      value?.integer.flatMap { (0...1_000_000_000).contains($0) ? Int($0) : nil }
    }
    if dialect == .anthropic {
      usage.input = count(counts["input_tokens"]) ?? usage.input
      usage.cacheRead = count(counts["cache_read_input_tokens"]) ?? usage.cacheRead
      usage.cacheWrite = count(counts["cache_creation_input_tokens"]) ?? usage.cacheWrite
      usage.output = count(counts["output_tokens"]) ?? usage.output
      return
    }
    let details = counts["prompt_tokens_details"] ?? counts["input_tokens_details"]
    let all = count(counts["prompt_tokens"]) ?? count(counts["input_tokens"]) ?? 0
    usage.cacheRead = min(count(details?["cached_tokens"]) ?? 0, all)
    usage.input = all - usage.cacheRead
    usage.output = count(counts["completion_tokens"]) ?? count(counts["output_tokens"]) ?? 0
  }

  private mutating func count(_ data: [UInt8], _ keys: StaticString...) {
    deltas += 1
    for key in keys {
      if let length = Self.stringLength(in: data, after: key) {
        deltaBytes += length
        return
      }
    }
  }

  /// How long the string behind a key is: good enough for an estimate.
  private static func stringLength(in data: [UInt8], after key: StaticString) -> Int? {
    let count = key.utf8CodeUnitCount
    guard data.count > count else { return nil }
    search: for start in 0..<(data.count - count) where data[start] == key.utf8Start[0] {
      for offset in 1..<count where data[start + offset] != key.utf8Start[offset] { continue search }
      var place = start + count
      while place < data.count, data[place] == 0x20 { place += 1 }
      guard place < data.count, data[place] == UInt8(ascii: "\"") else { continue }
      var length = 0
      place += 1
      while place < data.count, data[place] != UInt8(ascii: "\"") {
        place += data[place] == UInt8(ascii: "\\") ? 2 : 1
        length += 1
      }
      return length
    }
    return nil
  }
}
