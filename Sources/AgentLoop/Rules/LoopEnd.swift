import JSONText

/// What a loop came to; what the program writes on standard output.
public struct LoopEnd: Sendable, Hashable {
  /// What came of it.
  public enum Outcome: Sendable, Hashable {
    /// A text to post; the post where the model named one (explorations).
    case answer(String, postID: String?)
    case nothingToSay
    /// One sentence.
    case failed(String)
  }
  /// What came of it.
  public var outcome: Outcome
  /// Tokens of all calls, as the provider counted them.
  public var usage: ModelAnswer.Usage
  /// Calls of the model that brought an answer.
  public var iterations: Int
  /// The provider's name of the model.
  public var model: String

  /// An end of its parts.
  public init(_ outcome: Outcome, usage: ModelAnswer.Usage = .init(), iterations: Int = 0, model: String = "") {
    self.outcome = outcome
    self.usage = usage
    self.iterations = iterations
    self.model = model
  }

  /// As the program writes it.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "usage": [
        "tokens_input": .integer(Int64(usage.input)), "tokens_output": .integer(Int64(usage.output)),
        "model": .string(model),
      ], "iterations": .integer(Int64(iterations)),
    ]
    switch outcome {
    case .answer(let text, let postID):
      members["answer"] = .string(text)
      members["post_id"] = postID.map { .string($0) }
    case .nothingToSay: members["nothing_to_say"] = true
    case .failed(let sentence): members["error"] = .string(sentence)
    }
    return .object(members)
  }
}

extension LoopEnd.Outcome {
  /// What a model is told to write when it has nothing to say: providers don't let it write nothing.
  public static let silence = "NOTHING_TO_SAY"

  /// Reads a model's last words. `{"post_id", "answer"}` is what explorations ask for; models like to fence it in.
  public init(reading text: String) {
    let words = trimmed(text[...])
    if words.isEmpty || words == Self.silence {
      self = .nothingToSay
      return
    }
    // What merely begins with a brace is a text: not being JSON is no error here.
    guard let object = try? JSONValue(parsing: Self.withoutFence(words).utf8), object.object != nil,
      object["answer"] != nil || object["nothing_to_say"] != nil
    else {
      self = .answer(words, postID: nil)
      return
    }
    let answer = trimmed((object["answer"]?.string ?? "")[...])
    let isSilent = object["nothing_to_say"]?.bool == true || answer.isEmpty || answer == Self.silence
    self = isSilent ? .nothingToSay : .answer(answer, postID: object["post_id"]?.string)
  }

  private static func withoutFence(_ text: String) -> String {
    guard text.hasPrefix("```"), text.hasSuffix("```"), let end = text.firstIndex(where: \.isNewline) else {
      return text
    }
    return String(text[end...].dropLast(3))
  }
}

/// Without blank characters at both ends.
func trimmed(_ text: Substring) -> String {
  let start = text.drop { $0.isWhitespace }
  guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
  return String(start[...end])
}
