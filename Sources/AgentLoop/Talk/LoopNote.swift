/// A line of the loop on standard error, for people: what it did. Whoever shows it beside what the gateways tell needs to
/// know what it is about.
public enum LoopNote: Sendable, Hashable {
  /// The model's answer came.
  case modelAnswered
  /// A tool of an MCP server was called.
  case serversTool
  /// One of the loop's own tools was called.
  case ownTool(isError: Bool)
  case other

  /// What each line begins with.
  public static let prefix = "botburrow-agent: "

  /// What a line is about.
  public init(_ line: String) {
    let words = line.hasPrefix(Self.prefix) ? line.dropFirst(Self.prefix.count) : line[...]
    let subject = words.prefix { $0 != ":" }
    if subject == "model", words.contains(" tokens in, ") {
      self = .modelAnswered
    } else if subject.hasPrefix("mcp__") {
      self = .serversTool
    } else if OwnTool(rawValue: String(subject)) != nil {
      self = .ownTool(isError: words.dropFirst(subject.count).hasPrefix(": error"))
    } else {
      self = .other
    }
  }

  /// The line of a model's answer.
  public static func answered(_ usage: ModelAnswer.Usage, calls: Int) -> String {
    "model: \(usage.input) tokens in, \(usage.output) out, \(calls) \(calls == 1 ? "call" : "calls")"
  }

  /// The line of a call of a tool.
  /// - Parameter about: what it was called with, where one argument says the most.
  public static func called(
    _ tool: String, isError: Bool, bytes: Int, milliseconds: Int, about: String?
  ) -> String {
    "\(tool): \(isError ? "error" : "ok"), \(bytes) bytes, \(milliseconds) ms"
      + (about.map { ": \($0.oneLine(limit: 100))" } ?? "")
  }
}
