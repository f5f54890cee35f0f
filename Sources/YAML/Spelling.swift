/// Finds what somebody meant to write.
public enum Spelling {
  /// The candidate with the fewest edits from `word`; nil when none is near enough to be a slip of the fingers
  /// (a third of the word's letters, at least one, at most three).
  public static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
    let limit = min(max(word.count / 3, 1), 3)
    let ranked = candidates.map { (distance: distance(word, $0), word: $0) }.filter { $0.distance <= limit }
    return ranked.min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
  }

  /// Insertions, deletions, substitutions and swaps of neighbours that lead from one text to the other
  /// (optimal string alignment).
  static func distance(_ left: String, _ right: String) -> Int {
    let a = Array(left.lowercased().unicodeScalars), b = Array(right.lowercased().unicodeScalars)
    // A key can be as long as a file; nothing known is.
    guard abs(a.count - b.count) <= 8 else { return .max }
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
