/// Rows of text in columns.
enum Table {
  /// Prints rows, the first of which is the heading; the last column is as wide as it is.
  static func show(_ rows: [[String]]) {
    let columns = rows.first?.count ?? 0
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    for (index, row) in rows.enumerated() {
      let cells = row.enumerated().map {
        $0.offset == columns - 1 ? $0.element : $0.element.padded(to: widths[$0.offset])
      }
      let line = cells.joined(separator: "  ")
      print(index == 0 ? Style.bold(line) : line)
    }
  }
}

extension String {
  /// With blanks behind it, up to a width.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Style {
  static func bold(_ text: String) -> String { isOn() ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
  static func dim(_ text: String) -> String { isOn() ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
}
