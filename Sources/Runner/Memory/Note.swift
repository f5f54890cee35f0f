/// A note that an agent wrote in an earlier activation: a Markdown file in `Memory.directory`.
struct Note: Sendable, Hashable {
  /// Its file's name below the directory.
  var name: String
  /// When it was written last, seconds since 1970.
  var modified: Int
  /// Its text; of a long one the beginning.
  var text: String
}

/// Where notes are, and how much of them goes into a prompt.
enum Memory {
  /// Where the shipped profiles mount an agent's workspace that stays.
  static let place = "/memory"
  /// Where in it notes are.
  static let directory = "/memory/notes"
  /// Notes that are looked at: the newest.
  static let mostNotes = 500
  /// Bytes of a note's file; larger ones are no notes.
  static let largestNote = 64 << 10
  /// Characters of one note in a prompt.
  static let noteLimit = 4_000
  /// Characters of all notes in a prompt.
  static let promptLimit = 16_000
  /// Bytes that the reader may write: more would be more than any prompt takes.
  static let archiveLimit = 8 << 20
}

/// Reads a ustar archive (POSIX.1-1988): what the agent's own sandbox says its notes are. Anybody could have written it,
/// so what doesn't fit ends the reading, and nothing in it names a file of ours.
enum NoteArchive {
  private static let block = 512

  static func read(_ archive: [UInt8]) -> [Note] {
    var notes: [Note] = []
    var position = 0
    while position + block <= archive.count {
      let header = archive[position..<(position + block)]
      guard let name = text(header, 0, 100), !name.isEmpty, let size = octal(header, 124, 12),
        let modified = octal(header, 136, 12), size <= Memory.largestNote
      else { break }
      position += block
      guard position + size <= archive.count else { break }
      let isFile = header[header.startIndex + 156] == UInt8(ascii: "0")
      if isFile, let text = String(validating: archive[position..<(position + size)], as: UTF8.self) {
        let place = self.text(header, 345, 155).map { $0.isEmpty ? "" : "\($0)/" } ?? ""
        notes.append(Note(name: bare(place + name), modified: modified, text: text))
      }
      position += (size + block - 1) / block * block
    }
    return notes
  }

  private static func bare(_ name: String) -> String { name.hasPrefix("./") ? String(name.dropFirst(2)) : name }

  private static func text(_ header: ArraySlice<UInt8>, _ offset: Int, _ length: Int) -> String? {
    let field = header.dropFirst(offset).prefix(length).prefix { $0 != 0 }
    return String(validating: field, as: UTF8.self)
  }

  private static func octal(_ header: ArraySlice<UInt8>, _ offset: Int, _ length: Int) -> Int? {
    guard let text = text(header, offset, length) else { return nil }
    return Int(text.filter { $0 != " " }, radix: 8).flatMap { $0 >= 0 ? $0 : nil }
  }
}
