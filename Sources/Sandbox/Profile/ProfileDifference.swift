import JSON

/// A rule on which two profiles differ.
public struct ProfileDifference: Sendable, Hashable {
  /// Which.
  public var rule: ProfileRule
  /// The first profile's value; nil where it says nothing of the kind.
  public var first: String?
  /// The second's.
  public var second: String?

  /// Rules on which they differ, by key in the order of docs/profiles.md. Name and description don't count.
  public static func between(_ first: Profile, _ second: Profile) -> [ProfileDifference] {
    let (left, right) = (first.statements, second.statements)
    let mine = Dictionary(left.map { ($0.rule, $0.value) }) { _, last in last }
    let theirs = Dictionary(right.map { ($0.rule, $0.value) }) { _, last in last }
    let all = left.map(\.rule) + right.map(\.rule).filter { mine[$0] == nil }
    var keys: [String] = []
    for rule in all where !keys.contains(rule.key) { keys.append(rule.key) }
    let rules = keys.flatMap { key in all.filter { $0.key == key } }
    return rules.compactMap { rule in
      mine[rule] == theirs[rule] ? nil : ProfileDifference(rule: rule, first: mine[rule], second: theirs[rule])
    }
  }

  /// For programs.
  public var json: JSONValue {
    var members: [String: JSONValue] = ["key": .string(rule.key)]
    if !rule.item.isEmpty { members["item"] = .string(rule.item) }
    members["first"] = first.map { .string($0) } ?? .null
    members["second"] = second.map { .string($0) } ?? .null
    return .object(members)
  }
}
