/// Models write expressions as their training has them; the C library takes POSIX extended ones (regex(7)). Pure.
public enum SearchExpression {
  /// The same expression for `regcomp`, and whether it began with `(?i)`.
  public static func posix(_ pattern: String) -> (pattern: String, ignoresCase: Bool) {
    var text = pattern[...]
    let ignoresCase = text.hasPrefix("(?i)")
    if ignoresCase { text = text.dropFirst(4) }
    var result = ""
    var inSet = false
    while let character = text.popFirst() {
      switch character {
      case "\\":
        guard let next = text.popFirst() else {
          result += "\\\\"
          break
        }
        result += escape(next, inSet: inSet)
      case "[" where !inSet:
        inSet = true
        result.append(character)
        // A bracket right behind the opening one stands for itself.
        if text.first == "^" { result.append(text.removeFirst()) }
        if text.first == "]" { result.append(text.removeFirst()) }
      case "]" where inSet:
        inSet = false
        result.append(character)
      case "(" where !inSet && text.hasPrefix("?:"):
        text = text.dropFirst(2)
        result.append(character)
      default: result.append(character)
      }
    }
    return (result, ignoresCase)
  }

  private static func escape(_ letter: Character, inSet: Bool) -> String {
    switch letter {
    case "d": inSet ? "0-9" : "[0-9]"
    case "D" where !inSet: "[^0-9]"
    case "w" where inSet: "A-Za-z0-9_"
    case "s" where inSet: " \t"
    case "t": "\t"
    // A backslash is an ordinary character within a set.
    case _ where inSet: letter == "]" ? "]" : String(letter)
    default: "\\\(letter)"
    }
  }
}
