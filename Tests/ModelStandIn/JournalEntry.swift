import JSON

/// One request that the stand-in got, and what it sent.
public struct JournalEntry: Sendable, Hashable {
  /// What came in the place of the key.
  public enum Key: String, Sendable { case right, wrong, missing }
  /// Counts from 1.
  public var number: Int
  /// Of the request, without its query.
  public var path: String
  /// Of the request.
  public var query: String
  /// In the request.
  public var model: String
  /// Whether a stream was asked for.
  public var streams: Bool
  /// Turns of the model in the request.
  public var turn: Int
  /// Empty for the standard one.
  public var scenario: String
  /// Names of the tools that the request offers.
  public var tools: [String]
  /// What came in the place of the key.
  public var key: Key
  /// Something that looks like an activation's token came along: 64 hexadecimal digits in a row.
  public var sandboxToken: Bool
  /// Bytes of the request's body.
  public var bytes: Int
  /// Of the texts that the stand-in listens for, those that the request's body holds.
  public var heard: [String]
  /// The status that was sent.
  public var status: Int
  /// The answer was cut.
  public var cut: Bool
  /// The tokens that were sent: of a cut answer what its sent part says; nil where none were.
  public var usage: Scenario.Usage?

  /// One line of the journal.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "number": .count(number), "path": .string(path), "query": .string(query), "model": .string(model),
      "stream": .bool(streams),
      "turn": .count(turn), "scenario": .string(scenario), "tools": .array(tools.map { .string($0) }),
      "key": .string(key.rawValue), "sandbox_token": .bool(sandboxToken), "bytes": .count(bytes),
      "heard": .array(heard.map { .string($0) }), "status": .count(status), "cut": .bool(cut),
    ]
    members["usage"] = usage.map {
      [
        "input": .count($0.input), "cache_read": .count($0.cacheRead), "cache_write": .count($0.cacheWrite),
        "output": .count($0.output),
      ]
    }
    return .object(members)
  }
}
