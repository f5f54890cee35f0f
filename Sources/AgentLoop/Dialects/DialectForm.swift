import EventStream
import JSONText

/// A provider's form of the talk: one request as JSON, one streamed answer read back. Pure.
public protocol DialectForm: Sendable {
  /// Below the gateway's URL.
  static var path: String { get }
  /// Headers besides the key's.
  static var headers: [(name: String, value: String)] { get }
  /// The request's body.
  static func body(_ request: ModelRequest, _ brief: LoopBrief) -> JSONValue
  /// Nothing read yet.
  init()
  /// Takes one event of the stream. True: the answer is whole.
  mutating func take(_ event: SSEEvent) throws(ModelFailure) -> Bool
  /// Whether what came is whole though the stream ended without its last event.
  var isWhole: Bool { get }
  /// What has come so far; only once `take` said that it is whole.
  var answer: ModelAnswer { get }
}

extension LoopBrief.Dialect {
  /// How it is written and read.
  public var form: any DialectForm.Type {
    switch self {
    case .anthropic: AnthropicMessages.self
    case .openAIChat: ChatCompletions.self
    }
  }
}

/// What an answer that isn't 200 means. Pure.
public enum ModelStatus {
  /// - Parameters:
  ///   - shouldRetry: the header `x-should-retry`, whose word comes before the status.
  ///   - retryAfter: the header `retry-after`, where it is a number of seconds.
  public static func failure(
    status: Int, body: [UInt8], shouldRetry: String? = nil, retryAfter: String? = nil
  ) -> ModelFailure {
    let (type, message) = words(body)
    let said = message.isEmpty ? "" : ": \(message)"
    let sentence = "the model gateway answered \(status)\(said)"
    if isTooLong(status, type, message) { return ModelFailure(.tooLong, sentence) }
    var mayPass = status == 408 || status == 409 || status == 429 || status >= 500
    // A budget that is used up is no rush that passes.
    if ["insufficient_quota", "billing_error"].contains(type) || status == 402 { mayPass = false }
    if shouldRetry == "false" { mayPass = false }
    return ModelFailure(mayPass ? .passing(retryAfter: retryAfter.flatMap { Double($0) }) : .final, sentence)
  }

  /// `{"error": {"type" or "code", "message"}}`, as both dialects write errors.
  static func words(_ body: [UInt8]) -> (type: String, message: String) {
    // An answer from something in between may be no JSON: then there are no words, and the status speaks alone.
    guard let error = (try? JSONValue(parsing: body))?["error"] else { return ("", "") }
    let type = error["code"]?.string ?? error["type"]?.string ?? ""
    return (type, (error["message"]?.string ?? error.string ?? "").oneLine())
  }

  /// No provider has a status of its own for it.
  private static func isTooLong(_ status: Int, _ type: String, _ message: String) -> Bool {
    if status == 413 || type == "context_length_exceeded" { return true }
    guard status == 400 else { return false }
    let text = message.lowercased()
    return text.contains("prompt is too long") || text.contains("context length") || text.contains("context window")
      || text.contains("maximum context")
  }
}
