/// Finds `@name` in text.
public enum Mentions {
  /// The names after each `@` that begins a mention, in order, each once, in lower case.
  ///
  /// A mention's `@` stands at the text's start or after anything but a letter, a digit, or one of `. _ % + - @ /` (that
  /// would be an e-mail address, a path or a handle of elsewhere). The name is letters, digits, `-`, `_` and inner `.`;
  /// punctuation behind it does not belong to it. Code spans and fenced code (Markdown) hold no mentions.
  public static func names(in text: String) -> [String] {
    var names: [String] = []
    var seen: Set<String> = []
    var previous: Character?
    var rest = withoutCode(text)[...]
    while let character = rest.first {
      rest = rest.dropFirst()
      if character == "@", previous.map(mayPrecede) ?? true {
        var name = rest.prefix(while: isPart)
        let after = rest.dropFirst(name.count).first
        while let last = name.last, !(last.isLetter || last.isNumber) { name = name.dropLast() }
        // `@name@host` is a handle on another server.
        if !name.isEmpty, after != "@" {
          let lower = name.lowercased()
          if seen.insert(lower).inserted { names.append(lower) }
        }
      }
      previous = character
    }
    return names
  }

  private static func mayPrecede(_ character: Character) -> Bool {
    !(character.isLetter || character.isNumber || "._%+-@/".contains(character))
  }

  private static func isPart(_ character: Character) -> Bool {
    character.isLetter || character.isNumber || character == "-" || character == "_" || character == "."
  }

  /// The text with code spans and fences (runs of backticks up to an equal run) replaced by a space. A run that is never
  /// closed is plain text, as in CommonMark §6.1.
  private static func withoutCode(_ text: String) -> String {
    var kept = ""
    var rest = text[...]
    while let tick = rest.firstIndex(of: "`") {
      kept += rest[..<tick]
      rest = rest[tick...]
      let fence = rest.prefix { $0 == "`" }
      var search = rest.dropFirst(fence.count)
      var closed = false
      while let next = search.firstIndex(of: "`") {
        let run = search[next...].prefix { $0 == "`" }
        search = search[next...].dropFirst(run.count)
        if run.count == fence.count {
          closed = true
          break
        }
      }
      if closed {
        kept += " "
        rest = search
      } else {
        kept += fence
        rest = rest.dropFirst(fence.count)
      }
    }
    return kept + rest
  }
}
