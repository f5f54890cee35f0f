import Gateway
import JSON

/// `activate --watch`: each event of an activation as one line, with the sums so far. The lines are a pure function of the
/// events and their times; only `show` writes.
public struct WatchLog: Sendable {
  private var modelCalls = 0
  private var toolCalls = 0
  private var tokens = 0
  private var costUSD = 0.0

  /// Nothing seen yet.
  public init() {}

  /// What a line is about, and so its colour.
  public enum Kind: String, Sendable {
    /// Who; the walls; a call of the model; a call of a tool; the program's own words.
    case agent, sandbox, model, tool, said
  }

  /// Counts an event.
  public mutating func count(_ event: WatchEvent) {
    switch event {
    case .model(let call):
      modelCalls += 1
      tokens += call.input + call.output
      costUSD += call.costUSD ?? 0
    case .tool: toolCalls += 1
    default: break
    }
  }

  /// The event's words, without time and colour; `isBad` where something went wrong.
  public func words(_ event: WatchEvent) -> (kind: Kind, text: String, isBad: Bool) {
    switch event {
    case .prepared(let agent, let tool, let model, let bytes):
      return (.agent, "\(agent) (\(tool), model \(model)), prompt of \(bytes) bytes", false)
    case .started(let profile): return (.sandbox, "made with profile \(profile), program starts", false)
    case .model(let call):
      let price = call.costUSD.map { ", \(Self.dollars($0))" } ?? ""
      let guess = call.isEstimate ? " (cut: estimated)" : ""
      let counts = "\(call.input) tokens in, \(call.output) out\(guess)\(price)"
      return call.status == 200
        ? (.model, "\(call.model): \(counts), \(Int(call.milliseconds)) ms; so far \(sums)", call.isEstimate)
        : (.model, "\(call.model): refused with status \(call.status), \(Int(call.milliseconds)) ms", true)
    case .tool(let record):
      let name = "\(record.server).\(record.tool)"
      return (
        .tool, "\(name): \(record.status.rawValue), \(record.bytes) bytes, \(Int(record.milliseconds)) ms",
        record.status != .ok
      )
    case .said(let line): return (.said, line, false)
    }
  }

  /// Model calls, tool calls, tokens and dollars.
  public var sums: String {
    let calls = "\(modelCalls) model \(modelCalls == 1 ? "call" : "calls"), \(toolCalls) of tools"
    return "\(calls), \(tokens) tokens\(costUSD > 0 ? ", \(Self.dollars(costUSD))" : "")"
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
        "event": "model_call", "model": .string(call.model), "status": .integer(Int64(call.status)),
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
