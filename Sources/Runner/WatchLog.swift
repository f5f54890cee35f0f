import AgentLoop
import Agents
import Gateway
import JSON

/// `activate --watch`: each event of an activation as one line, with the sums so far. The lines are a pure function of the
/// events and their times; only `show` writes.
public struct WatchLog: Sendable {
  private var modelCalls = 0
  private var toolCalls = 0
  private var tokens = 0
  private var costUSD = 0.0
  /// The agent's own; calls of others are shown with their names.
  private var model = ""
  private var isNative = false
  /// Whether there was anything.
  public private(set) var isEmpty = true

  /// Nothing seen yet.
  public init() {}

  /// What a line is about, and so its colour.
  public enum Kind: String, Sendable {
    /// Who; the walls; a call of the model; a call of a tool; the program's own words.
    case agent, sandbox, model, tool, said
  }
  /// A line without time and colour.
  public struct Line: Sendable, Hashable {
    /// What it is about.
    public var kind: Kind
    /// Its words.
    public var text: String
    /// Something went wrong.
    public var isBad = false
  }

  /// Takes an event in; nil where it says what another one says better.
  public mutating func take(_ event: WatchEvent) -> Line? {
    isEmpty = false
    switch event {
    case .prepared(let agent, let tool, let model, let bytes):
      (self.model, isNative) = (model, tool == AgentDefinition.Kind.native.rawValue)
      return Line(kind: .agent, text: "\(agent) (\(tool), model \(model)), prompt of \(Prompt.grouped(bytes)) bytes")
    case .started(let profile): return Line(kind: .sandbox, text: "made with profile \(profile), program starts")
    case .model(let call):
      modelCalls += 1
      tokens += call.input + call.output
      costUSD += call.costUSD ?? 0
      return line(call)
    case .tool(let record):
      toolCalls += 1
      return Line(
        kind: .tool,
        text: "\(record.server).\(record.tool): \(record.status.rawValue), \(Prompt.grouped(record.bytes)) bytes, "
          + "\(Int(record.milliseconds)) ms", isBad: record.status != .ok)
    case .said(let line): return isNative ? own(line) : Line(kind: .said, text: line)
    }
  }

  private func line(_ call: ModelCallSeen) -> Line {
    var parts: [String] = []
    if call.output > 0 || call.trouble == nil {
      parts.append("\(Prompt.grouped(call.input)) tokens in, \(Prompt.grouped(call.output)) out")
      if call.isEstimate { parts.append("estimated") }
      if let cost = call.costUSD { parts.append(Self.dollars(cost)) }
    }
    if let trouble = call.trouble { parts.append(trouble) }
    parts.append("\(Int(call.milliseconds)) ms")
    if call.retries > 0 { parts.append("\(Self.count(call.retries, "retry", "retries"))") }
    let name = call.model == model ? "" : "\(call.model): "
    return Line(
      kind: .model, text: name + parts.joined(separator: ", ") + "; so far \(used)", isBad: call.trouble != nil)
  }

  /// A line of the native loop. What it says of its model and of servers' tools the gateways have said; its own tools are
  /// tools like others, and nobody else tells of them.
  private mutating func own(_ line: String) -> Line? {
    guard line.hasPrefix(LoopNote.prefix) else { return Line(kind: .said, text: line) }
    switch LoopNote(line) {
    case .modelAnswered, .serversTool: return nil
    case .ownTool(let isError):
      toolCalls += 1
      return Line(kind: .tool, text: String(line.dropFirst(LoopNote.prefix.count)), isBad: isError)
    case .other: return Line(kind: .said, text: String(line.dropFirst(LoopNote.prefix.count)))
    }
  }

  /// Model calls, tool calls, tokens and dollars.
  public var sums: String {
    let models = Self.count(modelCalls, "model call", "model calls")
    return "\(models), \(Self.count(toolCalls, "tool call", "tool calls")), \(used)"
  }

  private var used: String {
    "\(Prompt.grouped(tokens)) tokens\(costUSD > 0 ? ", \(Self.dollars(costUSD))" : "")"
  }

  private static func count(_ number: Int, _ one: String, _ many: String) -> String {
    "\(number) \(number == 1 ? one : many)"
  }

  /// The event for programs.
  public func json(_ event: WatchEvent, seconds: Double) -> JSONValue {
    var members: [String: JSONValue] = ["seconds": .number((seconds * 1000).rounded() / 1000)]
    switch event {
    case .prepared(let agent, let tool, let model, let bytes):
      members.merge([
        "event": "prepared", "agent_id": .string(agent), "tool_type": .string(tool), "model": .string(model),
        "prompt_bytes": .integer(Int64(bytes)),
      ]) { $1 }
    case .started(let profile): members.merge(["event": "started", "profile": .string(profile)]) { $1 }
    case .model(let call):
      members.merge([
        "event": "model_call", "model": .string(call.model), "outcome": .string(call.outcome.rawValue),
        "status": .integer(Int64(call.status)), "retries": .integer(Int64(call.retries)),
        "tokens": ["input": .integer(Int64(call.input)), "output": .integer(Int64(call.output))],
        "cost_usd": call.costUSD.map { .number($0) } ?? .null, "duration_ms": .number(call.milliseconds),
        "estimated": .bool(call.isEstimate), "total_tokens": .integer(Int64(tokens)),
        "total_cost_usd": .number(costUSD),
      ]) { $1 }
    case .tool(let record):
      members.merge([
        "event": "tool_call", "server": .string(record.server), "tool": .string(record.tool),
        "status": .string(record.status.rawValue), "bytes": .integer(Int64(record.bytes)),
        "duration_ms": .number(record.milliseconds), "arguments_sha256": .string(record.argumentsHash),
      ]) { $1 }
    case .said(let line): members.merge(["event": "stderr", "line": .string(line)]) { $1 }
    }
    return .object(members)
  }

  private static func dollars(_ amount: Double) -> String {
    let units = Int((amount * 10_000).rounded())
    let fraction = String(units % 10_000)
    return "$\(units / 10_000).\(String(repeating: "0", count: 4 - fraction.count))\(fraction)"
  }
}
