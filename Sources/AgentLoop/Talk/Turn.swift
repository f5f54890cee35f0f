import JSONText

/// One turn of the talk with a model, free of any provider's form.
public struct Turn: Sendable, Hashable {
  /// Whose turn it is.
  public enum Role: String, Sendable, Hashable { case user, assistant }
  /// Whose turn it is.
  public var role: Role
  /// What was said, in order.
  public var parts: [Part]

  /// A turn of its parts.
  public init(_ role: Role, _ parts: [Part]) {
    self.role = role
    self.parts = parts
  }

  /// A piece of a turn.
  public enum Part: Sendable, Hashable {
    case text(String)
    /// Only the assistant's.
    case call(ToolCall)
    /// Only the user's, right behind the turn with the call.
    case result(ToolResult)
  }

  /// The calls in it, in order.
  public var calls: [ToolCall] {
    parts.compactMap { part in if case .call(let call) = part { call } else { nil } }
  }
  /// Its texts as one.
  public var text: String {
    parts.compactMap { part in if case .text(let text) = part { text } else { nil } }.joined(separator: "\n\n")
  }
  /// About how many bytes it is on the wire.
  public var bytes: Int {
    parts.reduce(16) { sum, part in
      switch part {
      case .text(let text): sum + text.utf8.count + 32
      case .call(let call): sum + call.input.utf8.count + call.name.utf8.count + 96
      case .result(let result): sum + result.text.utf8.count + 96
      }
    }
  }
}

/// A tool that the model wants to use.
public struct ToolCall: Sendable, Hashable {
  /// The provider's id, which the result repeats.
  public var id: String
  /// As the model wrote it.
  public var name: String
  /// The arguments as the model wrote them: JSON, unless it erred or was cut off.
  public var input: String

  /// A call of its parts.
  public init(id: String, name: String, input: String) {
    self.id = id
    self.name = name
    self.input = input
  }

  /// The arguments as an object; a sentence for the model where they are none. Nothing at all is the empty object.
  public func arguments() throws(ToolTrouble) -> JSONValue {
    if input.allSatisfy(\.isWhitespace) { return .object([:]) }
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: input.utf8)
    } catch {
      throw ToolTrouble("the arguments of \(name) are \(error); repeat the call with one complete JSON object")
    }
    guard value.object != nil else { throw ToolTrouble("the arguments of \(name) are not a JSON object") }
    return value
  }
}

/// What came of a call.
public struct ToolResult: Sendable, Hashable {
  /// The call's id.
  public var callID: String
  /// The tool, for whoever reads the talk.
  public var name: String
  /// What the model reads.
  public var text: String
  /// Whether it is the reason why the tool didn't do what was asked.
  public var isError: Bool

  /// A result of its parts.
  public init(_ call: ToolCall, _ text: String, isError: Bool = false) {
    callID = call.id
    name = call.name
    self.text = text
    self.isError = isError
  }
}

/// Why a tool can't do what was asked: one sentence for the model, which may try something else.
public struct ToolTrouble: Error, Sendable, Hashable, CustomStringConvertible {
  /// The sentence.
  public let description: String
  /// An error that reads as `description`.
  public init(_ description: String) { self.description = description }
}

/// A tool as the model is told of it.
public struct ToolDefinition: Sendable, Hashable {
  /// 1 to 64 of `A–Z a–z 0–9 _ -`, which all providers take.
  public var name: String
  /// What it does, for the model.
  public var about: String
  /// JSON Schema of its arguments.
  public var schema: JSONValue

  /// A tool of its parts.
  public init(name: String, about: String, schema: JSONValue) {
    self.name = name
    self.about = about
    self.schema = schema
  }

  /// About how many bytes it is on the wire.
  var bytes: Int { name.utf8.count + about.utf8.count + schema.compactText.utf8.count + 64 }
}

/// One call of the model.
public struct ModelRequest: Sendable, Hashable {
  /// The system prompt.
  public var system: String
  /// The talk so far; the first and the last turn are the user's.
  public var turns: [Turn]
  /// The tools that it knows.
  public var tools: [ToolDefinition]
  /// It may use none of them now: it must answer.
  public var mustAnswer: Bool
  /// At most so many tokens come back.
  public var answerTokens: Int

  /// A request of its parts.
  public init(system: String, turns: [Turn], tools: [ToolDefinition], mustAnswer: Bool, answerTokens: Int) {
    self.system = system
    self.turns = turns
    self.tools = tools
    self.mustAnswer = mustAnswer
    self.answerTokens = answerTokens
  }
}

/// What a model said, whole.
public struct ModelAnswer: Sendable, Hashable {
  /// Why it stopped.
  public enum Stop: Sendable, Hashable {
    /// It was done, or wants a tool.
    case done
    /// It came to the end of its tokens.
    case tokens
    /// It won't; the provider's word.
    case refused(String)
  }
  /// Tokens of one call.
  public struct Usage: Sendable, Hashable {
    /// Sent, with those read from and written to a cache.
    public var input = 0
    /// Received.
    public var output = 0
    /// None.
    public init() {}
    /// So many.
    public init(input: Int, output: Int) {
      self.input = input
      self.output = output
    }
    /// Both.
    public var total: Int { input + output }
  }
  /// Texts and calls, in order.
  public var parts: [Turn.Part]
  /// Why it stopped.
  public var stop: Stop
  /// What the call used; zeros where the provider didn't say.
  public var usage: Usage

  /// An answer of its parts.
  public init(parts: [Turn.Part], stop: Stop = .done, usage: Usage = Usage()) {
    self.parts = parts
    self.stop = stop
    self.usage = usage
  }
}

/// Why a call of the model brought no answer.
public struct ModelFailure: Error, Sendable, Hashable {
  /// What can be done about it.
  public enum Kind: Sendable, Hashable {
    /// Nothing: key, model, budget, request.
    case final
    /// The same call may do better after a while; the server's word on how long, in seconds.
    case passing(retryAfter: Double?)
    /// The talk is too long for the model.
    case tooLong
  }
  /// What can be done about it.
  public var kind: Kind
  /// One sentence.
  public var sentence: String

  /// A failure of its parts.
  public init(_ kind: Kind, _ sentence: String) {
    self.kind = kind
    self.sentence = sentence
  }
}
