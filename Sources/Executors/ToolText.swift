import AgentLoop
import JSON

// What executors do with texts that tools wrote.

extension String {
  /// Without blank characters at both ends.
  var trimmed: String {
    guard let start = firstIndex(where: { !$0.isWhitespace }), let end = lastIndex(where: { !$0.isWhitespace }) else {
      return ""
    }
    return String(self[start...end])
  }
}

extension ExecutorOutput {
  /// The last line of standard error that isn't blank, as the end of a sentence; empty where there is none.
  var lastWords: String {
    let lines = String(decoding: errorOutput, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let last = lines.last(where: { !$0.allSatisfy(\.isWhitespace) }) else { return "" }
    return "; its last words: \(String(last).oneLine())"
  }

  /// How the program ended, as a sentence about `name`.
  func ending(of name: String) -> String {
    switch exit {
    case .code(let code): "\(name) ended with exit code \(code)\(lastWords)"
    case .signal(let signal): "\(name) was ended by signal \(signal)\(lastWords)"
    }
  }

  /// What to say of output that was cut.
  var tooMuch: String {
    "the agent wrote more than the \(output.count) bytes that are kept; let it write less, or raise activation.max_output"
  }

  /// Standard output as JSON objects, one a line. Lines that are something else are left out: tools print banners.
  var events: [JSONValue] {
    output.split(separator: UInt8(ascii: "\n")).compactMap { line in
      // A line that merely looks like an object is no error here.
      line.first == UInt8(ascii: "{") ? try? JSONValue(parsing: line) : nil
    }
  }
}

extension JSONValue {
  /// A count of tokens: a number of anybody's that can't be one is none.
  var count: Int? { integer.flatMap { Int(exactly: $0) }.flatMap { $0 >= 0 ? $0 : nil } }

  /// A price, likewise.
  var dollars: Double? { double.flatMap { $0 >= 0 && $0.isFinite ? $0 : nil } }
}
