/// Makes a talk fit. The same talk always becomes the same shorter one: no model is asked, so it costs nothing, and a
/// repeated call is the same call.
///
/// In this order, each only as far as needed: results of tools, the oldest first, but those of the last exchange; then whole
/// exchanges, the oldest first, each of which becomes one line of a summary below the task; then the last exchange's results,
/// from their middles.
enum Compaction {
  /// What stays of a result that was taken out must be shorter than it.
  private static let smallResult = 300
  private static let lineLength = 160
  private static let heading = "# What you did so far, shortened to save room\n\n"

  /// - Parameter bytes: what the turns may have; a task alone that is longer stays as it is.
  static func fit(_ turns: [Turn], bytes: Int) -> [Turn] {
    var turns = turns
    if size(turns) <= bytes { return turns }
    // Once at it, some room for what comes next, so that not every call sends another beginning (caches).
    let goal = bytes * 3 / 4
    emptyOldResults(&turns, goal)
    if size(turns) > bytes { summarize(&turns, goal) }
    if size(turns) > bytes { cutLastResults(&turns, bytes) }
    return turns
  }

  static func size(_ turns: [Turn]) -> Int { turns.reduce(0) { $0 + $1.bytes } }

  private static func emptyOldResults(_ turns: inout [Turn], _ goal: Int) {
    for index in turns.indices.dropLast() {
      for place in turns[index].parts.indices {
        guard size(turns) > goal else { return }
        guard case .result(var result) = turns[index].parts[place], result.text.utf8.count > smallResult else {
          continue
        }
        result.text =
          "[taken out to save room: \(result.text.utf8.count) bytes, beginning \"\(result.text.oneLine(limit: 100))\"; "
          + "call the tool again if you need it]"
        turns[index].parts[place] = .result(result)
      }
    }
  }

  /// A turn with calls goes together with the one with their results: providers take neither alone.
  private static func summarize(_ turns: inout [Turn], _ goal: Int) {
    var lines: [String] = []
    let task = turns[0]
    var rest = turns.dropFirst()
    // What the lines may have; the oldest of them go too, where a talk has gone on for long.
    let room = goal / 3
    var lineBytes = 0
    while rest.count > 2, size([task] + rest) + min(lineBytes, room) > goal {
      let (said, seen) = (rest.removeFirst(), rest.removeFirst())
      let new = self.lines(said, seen)
      lines += new
      lineBytes += new.reduce(0) { $0 + $1.utf8.count + 1 }
    }
    guard !lines.isEmpty else { return }
    var first = task
    if case .text(let earlier)? = first.parts.last, earlier.hasPrefix(heading) {
      lines = earlier.dropFirst(heading.count).split(separator: "\n").map(String.init) + lines
      first.parts.removeLast()
    }
    first.parts.append(.text(heading + newest(lines, bytes: room).joined(separator: "\n")))
    turns = [first] + rest
  }

  private static func lines(_ said: Turn, _ seen: Turn) -> [String] {
    var lines = said.text.isEmpty ? [] : ["- you said: \(said.text.oneLine(limit: lineLength))"]
    for call in said.calls {
      let result = seen.parts.lazy.compactMap { part -> ToolResult? in
        if case .result(let result) = part, result.callID == call.id { result } else { nil }
      }.first
      let text = (result?.text ?? "no result").oneLine(limit: lineLength)
      lines.append("- \(call.name) \(call.input.oneLine(limit: lineLength)) → \(text)")
    }
    return lines
  }

  private static func newest(_ lines: [String], bytes: Int) -> [String] {
    var room = bytes
    let kept = lines.reversed().prefix { line in
      room -= line.utf8.count + 1
      return room >= 0
    }
    let left = lines.count - kept.count
    return (left > 0 ? ["- (\(left) earlier lines left out)"] : []) + kept.reversed()
  }

  private static func cutLastResults(_ turns: inout [Turn], _ bytes: Int) {
    guard let last = turns.indices.last else { return }
    let places = turns[last].parts.indices.filter { if case .result = turns[last].parts[$0] { true } else { false } }
    guard !places.isEmpty else { return }
    let others =
      size(turns)
      - places.reduce(0) { sum, place in
        if case .result(let result) = turns[last].parts[place] { sum + result.text.utf8.count } else { sum }
      }
    let share = max(smallResult, (bytes - others) / places.count)
    for place in places {
      guard case .result(var result) = turns[last].parts[place] else { continue }
      result.text = Shortened.middle(result.text, limit: share)
      turns[last].parts[place] = .result(result)
    }
  }
}

/// Texts that are too long.
public enum Shortened {
  /// Beginning and end, with a line between that says how much is missing; at most about `limit` bytes.
  public static func middle(_ text: String, limit: Int) -> String {
    let count = text.utf8.count
    guard count > limit else { return text }
    let half = max(0, limit / 2 - 40)
    let start = whole(text.utf8.prefix(half))
    let end = whole(text.utf8.suffix(half))
    return "\(start)\n[… \(count - start.utf8.count - end.utf8.count) bytes left out …]\n\(end)"
  }

  /// A part cut within a character loses that character.
  private static func whole(_ bytes: Substring.UTF8View) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    while text.first == "\u{FFFD}" { text.removeFirst() }
    while text.last == "\u{FFFD}" { text.removeLast() }
    return text
  }
}
