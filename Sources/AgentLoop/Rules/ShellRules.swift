/// `capabilities.shell` as a decision about one command. Pure.
///
/// The sandbox is the wall; this is a rule of conduct. So it is strict where it can't see: with a list of allowed commands,
/// whatever would start a command that doesn't stand there (substitutions, `eval`, here-documents) is refused with a
/// sentence, and the model writes it otherwise.
public enum ShellRules {
  /// Why a command may not run; nil where it may.
  public static func refusal(of command: String, _ rules: LoopBrief.Shell) -> String? {
    guard rules.enabled else { return "this agent may run no commands" }
    if command.utf8.contains(0) { return "the command holds a NUL character" }
    if command.allSatisfy(\.isWhitespace) { return "the command is empty" }
    // Blanks don't tell two commands apart, so they don't tell two texts apart here.
    let plain = squeezed(command)
    if let pattern = rules.blockedPatterns.first(where: { !$0.isEmpty && plain.contains(squeezed($0)) }) {
      return "the command contains '\(pattern.oneLine(limit: 80))', which this agent's rules block"
    }
    if rules.allowedCommands.isEmpty { return nil }
    let commands: [[String]]
    do throws(ToolTrouble) { commands = try simpleCommands(command) } catch { return error.description }
    for words in commands where !rules.allowedCommands.contains(where: { begins(words, with: $0) }) {
      return
        "'\((words.first ?? "").oneLine(limit: 80))' is not among the commands that this agent may run: "
        + rules.allowedCommands.joined(separator: ", ")
    }
    return nil
  }

  /// An allowed command of more than one word permits only what begins with all of them.
  private static func begins(_ words: [String], with allowed: String) -> Bool {
    words.starts(with: allowed.split(whereSeparator: \.isWhitespace).map(String.init))
  }

  private static func squeezed(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  /// The commands that a line of shell starts, each as its words without assignments and redirections (POSIX.1-2017, shell
  /// command language, 2.2 to 2.7, as far as it matters here).
  static func simpleCommands(_ text: String) throws(ToolTrouble) -> [[String]] {
    var reader = WordReader(text)
    var commands: [[String]] = []
    var words: [String] = []
    var skipsNext = false
    while let token = try reader.next() {
      switch token {
      case .word(let word, let isPlain):
        if skipsNext {
          skipsNext = false
        } else if !(words.isEmpty && isPlain && (isAssignment(word) || word == "{" || word == "}")) {
          words.append(word)
        }
      case .redirection: skipsNext = true
      case .separator:
        if !words.isEmpty { commands.append(words) }
        words = []
        skipsNext = false
      }
    }
    if !words.isEmpty { commands.append(words) }
    return commands
  }

  private static func isAssignment(_ word: String) -> Bool {
    guard let equals = word.firstIndex(of: "="), equals > word.startIndex else { return false }
    return word[..<equals].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
  }
}

/// Reads as the shell does: scalar by scalar (a quote with a combining mark is a quote to it), blanks and line ends of ASCII.
private struct WordReader {
  enum Token {
    /// `isPlain`: no part of it was quoted.
    case word(String, isPlain: Bool)
    case redirection
    case separator
  }
  private let text: [Unicode.Scalar]
  private var place = 0

  init(_ text: String) { self.text = Array(text.unicodeScalars) }

  private var current: Unicode.Scalar? { place < text.count ? text[place] : nil }

  mutating func next() throws(ToolTrouble) -> Token? {
    while let scalar = current, scalar == " " || scalar == "\t" { place += 1 }
    guard let scalar = current else { return nil }
    switch scalar {
    case "\n", ";", "&", "|":
      place += 1
      // '&>' redirects.
      if scalar == "&", current == ">" { return try redirection() }
      return .separator
    case "(", ")":
      place += 1
      return .separator
    case "<", ">": return try redirection()
    case "#":
      while let scalar = current, scalar != "\n" { place += 1 }
      return try next()
    default: return try word()
    }
  }

  private mutating func redirection() throws(ToolTrouble) -> Token {
    let first = current
    place += 1
    if first == "<", current == "<" {
      throw ToolTrouble(
        "here-documents can't be checked against the allowed commands; use the tool Write and then the file")
    }
    if current == "(" {
      throw ToolTrouble("process substitution can't be checked against the allowed commands; use a file")
    }
    while let scalar = current, ">&|".unicodeScalars.contains(scalar) { place += 1 }
    return .redirection
  }

  private mutating func word() throws(ToolTrouble) -> Token {
    var word = String.UnicodeScalarView()
    var isPlain = true
    while let scalar = current {
      switch scalar {
      case "'":
        isPlain = false
        place += 1
        while let inner = current, inner != "'" {
          word.append(inner)
          place += 1
        }
        place += 1
      case "\"":
        isPlain = false
        place += 1
        while let inner = current, inner != "\"" {
          try refuseSubstitution(inner)
          if inner == "\\" { place += 1 }
          if let escaped = current { word.append(escaped) }
          place += 1
        }
        place += 1
      case "\\":
        isPlain = false
        place += 1
        if let escaped = current, escaped != "\n" { word.append(escaped) }
        place += 1
      case " ", "\t", "\n", ";", "&", "|", "(", ")", "<", ">":
        // Digits in front of a redirection belong to it.
        if scalar == "<" || scalar == ">", word.allSatisfy({ ("0"..."9").contains($0) }), isPlain {
          return try redirection()
        }
        return .word(String(word), isPlain: isPlain)
      case "$" where following == "'":
        throw ToolTrouble("$'…' can't be checked against the allowed commands; write the text in plain quotes")
      default:
        try refuseSubstitution(scalar)
        word.append(scalar)
        place += 1
      }
    }
    return .word(String(word), isPlain: isPlain)
  }

  private var following: Unicode.Scalar? { place + 1 < text.count ? text[place + 1] : nil }

  private func refuseSubstitution(_ scalar: Unicode.Scalar) throws(ToolTrouble) {
    if scalar == "`" || (scalar == "$" && following == "(") {
      throw ToolTrouble(
        "command substitution can't be checked against the allowed commands; run the commands one by one")
    }
  }
}
