/// What the tools Read and Edit do to a text. Pure.
public enum TextEdit {
  /// Replaces `old` by `new`.
  /// - Throws: a sentence where `old` is empty, isn't there, or is there more often than once and not all are meant.
  public static func replacing(
    _ old: String, with new: String, in text: String, all: Bool
  ) throws(ToolTrouble) -> (text: String, count: Int) {
    if old.isEmpty { throw ToolTrouble("old_string is empty; use Write for a new file") }
    if old == new { throw ToolTrouble("old_string and new_string are the same") }
    // Bytes, as two texts that look alike may be written differently, and the file must keep its way.
    let (bytes, wanted) = (Array(text.utf8), Array(old.utf8))
    let places = occurrences(of: wanted, in: bytes)
    if places.isEmpty { throw ToolTrouble("old_string isn't in the file; read it and copy the text exactly") }
    if places.count > 1, !all {
      throw ToolTrouble(
        "old_string is in the file \(places.count) times; give more of what stands around it, or set replace_all")
    }
    var result: [UInt8] = []
    var next = 0
    for place in places {
      result += bytes[next..<place]
      result += new.utf8
      next = place + wanted.count
    }
    result += bytes[next...]
    return (String(decoding: result, as: UTF8.self), places.count)
  }

  private static func occurrences(of wanted: [UInt8], in bytes: [UInt8]) -> [Int] {
    guard let first = wanted.first, bytes.count >= wanted.count else { return [] }
    var places: [Int] = []
    var place = 0
    while place <= bytes.count - wanted.count {
      if bytes[place] == first, bytes[place..<place + wanted.count].elementsEqual(wanted) {
        places.append(place)
        place += wanted.count
      } else {
        place += 1
      }
    }
    return places
  }

  /// Numbered lines from `offset` (1 is the first), at most `limit` of them and about `bytes` bytes, and a last line that
  /// says where to go on.
  public static func numbered(_ text: String, offset: Int, limit: Int, bytes: Int) throws(ToolTrouble) -> String {
    if text.isEmpty { return "(the file is empty)" }
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    if lines.last?.isEmpty == true { lines.removeLast() }
    let start = max(1, offset)
    guard start <= lines.count else {
      throw ToolTrouble("the file has \(lines.count) lines; offset \(start) is beyond")
    }
    var result = ""
    var number = start
    while number <= lines.count, number < start + max(1, limit) {
      // One line of a megabyte is no reason to send a megabyte.
      let line = Shortened.middle(String(lines[number - 1]), limit: 2000)
      if !result.isEmpty, result.utf8.count + line.utf8.count > bytes { break }
      result += "\(number)\t\(line)\n"
      number += 1
    }
    if number <= lines.count {
      result += "(lines \(start) to \(number - 1) of \(lines.count); go on with offset \(number))\n"
    }
    return result
  }
}
