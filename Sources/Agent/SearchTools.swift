import AgentLoop
import Glibc

/// The tools Glob and Grep.
struct SearchTools {
  /// On `now()`'s clock.
  let deadline: Double
  private static let resultLimit = 200

  func glob(_ arguments: ToolArguments) throws(ToolTrouble) -> String {
    let pattern = GlobPattern(arguments.text("pattern"))
    let root = arguments.texts["path"] ?? "."
    var found: [(path: String, time: Int)] = []
    try Files.walk(root) { path, status in
      if pattern.matches(path) { found.append((path, status.st_mtim.tv_sec)) }
      return now() < deadline && found.count < 100_000
    }
    if found.isEmpty { return "(no file matches)" }
    let newest = found.sorted { ($1.time, $0.path) < ($0.time, $1.path) }
    let shown = newest.prefix(Self.resultLimit).map { root == "." ? $0.path : "\(root)/\($0.path)" }
    let more = found.count - shown.count
    return shown.joined(separator: "\n") + (more > 0 ? "\n(\(more) more; narrow the pattern)" : "")
  }

  func grep(_ arguments: ToolArguments) throws(ToolTrouble) -> String {
    let wanted = SearchExpression.posix(arguments.text("pattern"))
    let matcher = try LineMatcher(
      wanted.pattern, ignoresCase: wanted.ignoresCase || arguments.flags["ignore_case"] == true)
    let files = arguments.texts["glob"].map { GlobPattern($0) }
    let root = arguments.texts["path"] ?? "."
    var result = GrepResult(filesOnly: arguments.flags["files_only"] == true, limit: Self.resultLimit)
    var status = stat()
    if stat(root, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
      result.add(root, matcher.lines(try Files.contents(root), deadline))
    } else {
      try Files.walk(root) { path, status in
        guard files?.matches(path) != false, status.st_size <= 10 << 20 else { return true }
        let place = root == "." ? path : "\(root)/\(path)"
        // A file that went or that we may not read has no lines for us.
        if let bytes = try? Files.contents(place), !bytes.prefix(8192).contains(0) {
          result.add(place, matcher.lines(bytes, deadline))
        }
        return now() < deadline && !result.isFull
      }
    }
    return result.text + (now() < deadline ? "" : "\n(the time was over before every file was searched)")
  }
}

private struct GrepResult {
  let filesOnly: Bool
  let limit: Int
  var lines: [String] = []
  var isFull: Bool { lines.count >= limit }

  init(filesOnly: Bool, limit: Int) {
    self.filesOnly = filesOnly
    self.limit = limit
  }

  mutating func add(_ path: String, _ matches: [(number: Int, text: String)]) {
    if matches.isEmpty { return }
    if filesOnly {
      lines.append(path)
    } else {
      lines += matches.prefix(limit - lines.count).map {
        "\(path):\($0.number):\(Shortened.middle($0.text, limit: 300))"
      }
    }
  }

  var text: String {
    if lines.isEmpty { return "(nothing matches)" }
    return lines.joined(separator: "\n") + (isFull ? "\n(there may be more; narrow the search)" : "")
  }
}

/// A compiled expression. regexec(3) takes time that grows with the line, whatever the expression, unless it refers back.
private final class LineMatcher {
  private var expression = regex_t()

  init(_ pattern: String, ignoresCase: Bool) throws(ToolTrouble) {
    let code = regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB | (ignoresCase ? REG_ICASE : 0))
    guard code == 0 else {
      var buffer = [CChar](repeating: 0, count: 256)
      regerror(code, &expression, &buffer, buffer.count)
      let words = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      throw ToolTrouble("the pattern is no POSIX extended regular expression: \(words)")
    }
  }

  deinit { regfree(&expression) }

  func lines(_ bytes: [UInt8], _ deadline: Double) -> [(number: Int, text: String)] {
    var found: [(number: Int, text: String)] = []
    var number = 0
    for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
      number += 1
      if number.isMultiple(of: 1000), now() >= deadline { break }
      var text = line.map { CChar(bitPattern: $0) }
      text.append(0)
      if regexec(&expression, text, 0, nil, 0) == 0 { found.append((number, String(decoding: line, as: UTF8.self))) }
    }
    // A file's last line break begins no line.
    if bytes.last == 10, found.last?.number == number { found.removeLast() }
    return found
  }
}
