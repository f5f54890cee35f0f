import JSON

/// A scenario file that can't be used.
public struct ScenarioError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One sentence.
  public let description: String
}

extension Scenario {
  /// Reads `{"turns": [TURN, …], "scenarios": {NAME: [TURN, …]}}`. A turn has `text`, `tool` with `arguments` or `calls`
  /// (`[{"tool", "arguments"}]`), `status` with `retry_after` and `times`, `cut_after` (events), `first_byte_ms`,
  /// `between_ms`, `pieces`, `usage` (`input`, `cache_read`, `cache_write`, `output`).
  public init(parsing bytes: some Sequence<UInt8>) throws {
    let value = try JSONValue(parsing: bytes)
    guard value.object != nil else { throw ScenarioError(description: "a scenario is an object with 'turns'") }
    var others: [String: [Turn]] = [:]
    for (name, turns) in value["scenarios"]?.object ?? [:] { others[name] = try Self.turns(turns, "scenarios.\(name)") }
    self.init(try Self.turns(value["turns"] ?? [["text": "Good."]], "turns"), others: others)
  }

  private static func turns(_ value: JSONValue, _ place: String) throws -> [Turn] {
    guard let values = value.array, !values.isEmpty else {
      throw ScenarioError(description: "'\(place)' is not a list of turns")
    }
    return try values.enumerated().map { try turn($1, "\(place)[\($0)]") }
  }

  private static let keys: Set<String> = [
    "text", "tool", "arguments", "calls", "status", "retry_after", "times", "cut_after", "first_byte_ms", "between_ms",
    "pieces", "usage",
  ]

  private static func turn(_ value: JSONValue, _ place: String) throws -> Turn {
    guard let members = value.object else { throw ScenarioError(description: "'\(place)' is not an object") }
    if let stranger = members.keys.sorted().first(where: { !keys.contains($0) }) {
      throw ScenarioError(description: "'\(place).\(stranger)' is not a key of a turn")
    }
    var turn = Turn(value["text"]?.string ?? "")
    if let tool = value["tool"]?.string { turn.calls = [Call(tool, value["arguments"] ?? [:])] }
    for call in value["calls"]?.array ?? [] {
      guard let tool = call["tool"]?.string else { throw ScenarioError(description: "'\(place).calls' lacks 'tool'") }
      turn.calls.append(Call(tool, call["arguments"] ?? [:]))
    }
    if let status = value["status"]?.integer {
      turn.refusal = Refusal(
        Int(status), retryAfter: value["retry_after"]?.integer.map { Int($0) },
        times: value["times"]?.integer.map { Int($0) })
    }
    turn.cutAfter = value["cut_after"]?.integer.map { Int($0) }
    turn.firstByte = .milliseconds(value["first_byte_ms"]?.integer ?? 0)
    turn.between = .milliseconds(value["between_ms"]?.integer ?? 0)
    turn.pieces = value["pieces"]?.integer.map { Int($0) }
    if let usage = value["usage"], usage.object != nil {
      func count(_ key: String) -> Int { usage[key]?.integer.map { Int($0) } ?? 0 }
      turn.usage = Usage(
        input: count("input"), cacheRead: count("cache_read"), cacheWrite: count("cache_write"),
        output: count("output"))
    }
    return turn
  }
}
