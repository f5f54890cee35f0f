import JSON

/// What a model says, turn by turn. The turn of a request is the number of turns that the model already has in it, so that
/// any number of conversations go on at once and the stand-in keeps nothing of them.
public struct Scenario: Sendable, Hashable {
  /// A tool that the model calls.
  public struct Call: Sendable, Hashable {
    /// The tool's name, or its end: `search` calls `mcp__hub__search` where no tool is named `search`.
    public var tool: String
    /// Its arguments, an object.
    public var arguments: JSONValue
    /// A call by name and arguments.
    public init(_ tool: String, _ arguments: JSONValue = [:]) {
      self.tool = tool
      self.arguments = arguments
    }
  }
  /// How a turn goes wrong instead of being said.
  public struct Refusal: Sendable, Hashable {
    /// HTTP status: 401, 402, 429, 500, 529, …
    public var status: Int
    /// `Retry-After`, in seconds.
    public var retryAfter: Int?
    /// So many times, and then the turn is said; nil: always.
    public var times: Int?
    /// A refusal.
    public init(_ status: Int, retryAfter: Int? = nil, times: Int? = nil) {
      self.status = status
      self.retryAfter = retryAfter
      self.times = times
    }
  }
  /// Tokens that a turn is said to have used.
  public struct Usage: Sendable, Hashable {
    /// Input that no cache knew.
    public var input: Int
    /// Input that was read from a cache.
    public var cacheRead: Int
    /// Input that was written to a cache; Anthropic's dialect alone.
    public var cacheWrite: Int
    /// Output.
    public var output: Int
    /// Counts.
    public init(input: Int = 0, cacheRead: Int = 0, cacheWrite: Int = 0, output: Int = 0) {
      self.input = input
      self.cacheRead = cacheRead
      self.cacheWrite = cacheWrite
      self.output = output
    }
    /// The standard counts of a turn (from 0): no sum of some of them is the sum of others, so that a total says what was
    /// counted.
    public static func standard(turn: Int) -> Usage {
      Usage(input: 1001 + 1000 * turn, cacheRead: 17 + 100 * turn, cacheWrite: 13 + 10 * turn, output: 7 + turn)
    }
  }
  /// One turn of the model.
  public struct Turn: Sendable, Hashable {
    /// What it says before its calls; may be empty.
    public var text = ""
    /// What it calls.
    public var calls: [Call] = []
    /// Instead of all that.
    public var refusal: Refusal?
    /// The connection is cut after so many events of a stream; without a stream, in the middle of the body.
    public var cutAfter: Int?
    /// Wait before the first byte.
    public var firstByte: Duration = .zero
    /// Wait between two pieces.
    public var between: Duration = .zero
    /// Pieces of the text; nil: one a word.
    public var pieces: Int?
    /// Tokens; nil: the standard counts of the turn.
    public var usage: Usage?

    /// A turn that says a text, calls tools, or both.
    public init(_ text: String = "", calls: [Call] = []) {
      self.text = text
      self.calls = calls
    }
    /// A turn that is refused.
    public init(refusal: Refusal, thenText: String = "") {
      self.refusal = refusal
      text = thenText
    }
  }

  /// What is said first, second, …; the last is said again and again.
  public var turns: [Turn]
  /// Others, chosen by the name of the model in the request, or by `[scenario NAME]` anywhere in it.
  public var others: [String: [Turn]] = [:]

  /// A scenario of turns.
  public init(_ turns: [Turn], others: [String: [Turn]] = [:]) {
    self.turns = turns
    self.others = others
  }

  /// Which turns a request gets, and by which name.
  func choose(model: String, body: String) -> (name: String, turns: [Turn]) {
    if let named = others[model] { return (model, named) }
    for (name, turns) in others.sorted(by: { $0.key < $1.key }) where body.contains("[scenario \(name)]") {
      return (name, turns)
    }
    return ("", turns)
  }
}
