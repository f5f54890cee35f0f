/// A pattern of the tools Glob and Grep: `*` and `?` within a name, `[…]` for one of several, `**` across directories,
/// `{a,b}` for either. Without a slash it is matched against names at any depth. Pure.
public struct GlobPattern: Sendable {
  private let alternatives: [[Substring]]

  /// Reads a pattern.
  public init(_ text: String) {
    alternatives = Self.expand(text).prefix(64).map { pattern in
      let parts = pattern.split(separator: "/")
      return pattern.contains("/") ? parts : ["**"] + parts
    }
  }

  /// Whether a path relative to the place of the search matches.
  public func matches(_ path: String) -> Bool {
    let names = path.split(separator: "/")
    return alternatives.contains { Self.match($0[...], names[...]) }
  }

  private static func match(_ pattern: ArraySlice<Substring>, _ names: ArraySlice<Substring>) -> Bool {
    guard let part = pattern.first else { return names.isEmpty }
    if part == "**" {
      let rest = pattern.dropFirst()
      // As the last part it stands for files at any depth, not for nothing.
      if rest.isEmpty { return !names.isEmpty }
      return names.indices.contains { match(rest, names[$0...]) }
    }
    guard let name = names.first, matchName(Array(part), Array(name)) else { return false }
    return match(pattern.dropFirst(), names.dropFirst())
  }

  /// Goes back to the last `*` only, so that it takes at most length times length steps.
  private static func matchName(_ pattern: [Character], _ name: [Character]) -> Bool {
    var (at, place) = (0, 0)
    var star: (at: Int, place: Int)?
    while place < name.count {
      if at < pattern.count, pattern[at] == "*" {
        star = (at, place)
        at += 1
      } else if let next = matchOne(pattern, at, name[place]) {
        at = next
        place += 1
      } else if let last = star {
        star = (last.at, last.place + 1)
        (at, place) = (last.at + 1, last.place + 1)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == "*" }
  }

  /// Where the pattern goes on behind what matched one character; nil where it doesn't match.
  private static func matchOne(_ pattern: [Character], _ at: Int, _ character: Character) -> Int? {
    guard at < pattern.count else { return nil }
    switch pattern[at] {
    case "?": return at + 1
    case "[":
      guard let end = pattern[(at + 1)...].dropFirst().firstIndex(of: "]") else {
        return character == "[" ? at + 1 : nil
      }
      var set = pattern[(at + 1)..<end]
      let negated = set.first == "!" || set.first == "^"
      if negated { set = set.dropFirst() }
      var found = false
      var index = set.startIndex
      while index < set.endIndex {
        if index + 2 < set.endIndex, set[index + 1] == "-" {
          found = found || (set[index]...max(set[index], set[index + 2])).contains(character)
          index += 3
        } else {
          found = found || set[index] == character
          index += 1
        }
      }
      return found != negated ? end + 1 : nil
    default: return pattern[at] == character ? at + 1 : nil
    }
  }

  /// `{a,b}` as two patterns; braces within braces are left as they are.
  private static func expand(_ text: String) -> [String] {
    guard let open = text.firstIndex(of: "{"), let close = text[open...].firstIndex(of: "}") else { return [text] }
    let inner = text[text.index(after: open)..<close]
    let tails = expand(String(text[text.index(after: close)...]))
    return inner.split(separator: ",", omittingEmptySubsequences: false).flatMap { choice in
      tails.prefix(64).map { text[..<open] + choice + $0 }
    }
  }
}
