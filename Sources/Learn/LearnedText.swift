import JSON
import Linux
import Sandbox

extension LearnedProfile {
  /// What stands in the head of the file.
  public struct Heading: Sendable, Hashable {
    /// The command, as it was given.
    public var command: [String]
    /// How the recording ended.
    public var end: ProcessEnd
    /// How the verification went; nil: there was none.
    public var verification: String?
    /// Puts one together.
    public init(command: [String], end: ProcessEnd, verification: String? = nil) {
      (self.command, self.end, self.verification) = (command, end, verification)
    }
  }

  /// The profile as a file that extends its base: every line is a change that somebody should look at.
  public func text(_ heading: Heading) -> String {
    var lines = ["# Learned from: \(Self.shown(heading.command))"]
    lines += Self.comment(
      "It \(Self.words(heading.end)) while it was recorded. \(heading.verification ?? "Not verified.")")
    lines += Self.comment(
      "Another input may take another way: read this before you use it, and widen it where you know better.")
    for note in notes { lines += Self.comment("Note: \(note)", hanging: "  ") }
    if !lookedAt.isEmpty {
      lines += Self.comment(
        "Looked at, not opened, and not shown: \(lookedAt.prefix(12).joined(separator: " "))"
          + (lookedAt.count > 12 ? " and \(lookedAt.count - 12) more" : ""), hanging: "  ")
    }
    lines += ["", "extends: \(base)", "description: \(Self.quoted("Learned from " + Self.shown(heading.command)))"]
    if let network { lines += ["", "# \(network.reason)", "network: \(network.value.rawValue)"] }
    lines += portLines
    if !readOnly.isEmpty { lines += ["", "read_only:"] + readOnly.flatMap { Self.item($0.value, $0.reason) } }
    if !scratch.isEmpty {
      lines += ["", "# Where it writes besides; the sizes are a guess.", "scratch:"]
      for entry in scratch {
        lines += Self.comment(entry.reason, indent: "  ")
        lines.append("  - { path: \(Self.quoted(entry.value)), size: 64M, inodes: 16384 }")
      }
    }
    lines += callLines
    lines += removalLines
    return lines.joined(separator: "\n") + "\n"
  }

  private var portLines: [String] {
    var lines: [String] = []
    for (list, verb) in [(connections, "connected to"), (listeners, "listened on")] where !list.isEmpty {
      for entry in list where entry.value.port != nil {
        lines += Self.comment("\(entry.reason) \(verb) \(entry.value)", hanging: "  ")
      }
    }
    if lines.isEmpty { return [] }
    let meaning =
      "ports: a sandbox reaches none of these. An agent's requests go to listeners of its gateway (198.18.0.1), the rest of "
      + "the network is reached through sidecars."
    return [""] + Self.comment(meaning) + lines
  }

  private var callLines: [String] {
    if allow.isEmpty && when.isEmpty { return [] }
    var lines = ["", "syscalls:"]
    if !allow.isEmpty {
      lines += ["  # Beyond the base: each needs a reason that you accept.", "  allow:"]
      for addition in allow { lines += Self.item(addition.value, addition.reason, indent: "    ") }
    }
    if !when.isEmpty {
      lines += ["  # Tighter than the base's: only the values that were used.", "  when:"]
      for entry in when {
        guard case .oneOf(let values) = entry.condition.test else { continue }
        let list = values.map { "\($0)" }.joined(separator: ", ")
        lines.append("    - { name: \(entry.name), argument: \(entry.condition.argument), one_of: [\(list)] }")
      }
    }
    return lines
  }

  private var removalLines: [String] {
    if removedReadOnly.isEmpty && removedScratch.isEmpty && removedCalls.isEmpty { return [] }
    var lines = ["", "# The base has these, and nothing used them.", "remove:"]
    for (key, paths) in [("read_only", removedReadOnly), ("scratch", removedScratch)] where !paths.isEmpty {
      lines += ["  \(key):"] + paths.map { "    - \(Self.quoted($0))" }
    }
    if !removedCalls.isEmpty {
      lines += ["  # \(keptCalls) of the base's \(keptCalls + removedCalls.count) system calls stay."]
      lines += Self.wrapped(removedCalls, first: "  syscalls: [", next: "    ", last: "]")
    }
    return lines
  }

  private static func item(_ value: String, _ reason: String, indent: String = "  ") -> [String] {
    comment(reason, indent: indent) + ["\(indent)- \(quoted(value))"]
  }

  /// Words in lines of at most 120 bytes.
  private static func wrapped(_ words: [String], first: String, next: String, last: String) -> [String] {
    var lines: [String] = []
    var line = first
    for (index, word) in words.enumerated() {
      let text = word + (index == words.count - 1 ? last : ",")
      if line.utf8.count + text.utf8.count + 1 > 120 {
        lines.append(line)
        line = next + text
      } else {
        line += (line == first ? "" : " ") + text
      }
    }
    return lines + [line]
  }

  private static func comment(_ text: String, indent: String = "", hanging: String = "") -> [String] {
    // Whatever a file's name holds, it must not begin a line of its own.
    let words = clean(text).split(separator: " ").map(String.init)
    var lines: [String] = []
    var line = "\(indent)#"
    for word in words {
      if line.utf8.count + word.utf8.count + 1 > 120, line.utf8.count > indent.utf8.count + 1 {
        lines.append(line)
        line = "\(indent)#\(hanging)"
      }
      line += " \(word)"
    }
    return lines + [line]
  }

  private static func clean(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : $0 }))
  }

  /// A YAML scalar: plain where nothing in it could mean something else, double-quoted elsewhere.
  static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [43, 45, 46, 47, 95].contains($0)
    }
    if isPlain, text.hasPrefix("/") || text.utf8.first.map({ (97...122).contains($0) }) == true { return text }
    let escaped = text.unicodeScalars.map { scalar -> String in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case _ where scalar.value < 32 || scalar.value == 127:
        "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: String(scalar)
      }
    }
    return "\"\(escaped.joined())\""
  }

  /// A command as a shell would take it, shortened.
  static func shown(_ command: [String]) -> String {
    let words = command.map { word in
      word.utf8.allSatisfy { $0 > 32 && $0 < 127 && ![34, 36, 38, 39, 40, 41, 59, 60, 62, 92, 96, 124].contains($0) }
        && !word.isEmpty
        ? word
        : "'" + clean(word).split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
    let text = words.joined(separator: " ")
    return text.count > 160 ? text.prefix(159) + "…" : text
  }

  /// How a command ended, as the end of a sentence.
  public static func words(_ end: ProcessEnd) -> String {
    switch end {
    case .exited(let code): "exited with \(code)"
    case .signaled(let signal): "was ended by signal \(signal)"
    }
  }
}

extension LearnedProfile {
  /// The same for programs; `text` holds the file.
  public func json(_ heading: Heading, name: String) -> JSONValue {
    func list<Value>(_ additions: [Addition<Value>]) -> JSONValue {
      .array(additions.map { ["value": .string("\($0.value)"), "reason": .string($0.reason)] })
    }
    func strings(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
    var members: [String: JSONValue] = [
      "name": .string(name), "base": .string(base), "command": strings(heading.command),
      "recorded": .string(Self.words(heading.end)), "read_only": list(readOnly), "scratch": list(scratch),
      "allow": list(allow), "connections": list(connections), "listeners": list(listeners),
      "tightened": strings(when.map(\.name)), "notes": strings(notes), "looked_at": strings(lookedAt),
      "remove": [
        "read_only": strings(removedReadOnly), "scratch": strings(removedScratch), "syscalls": strings(removedCalls),
      ],
      "kept_syscalls": .integer(Int64(keptCalls)), "text": .string(text(heading)),
    ]
    members["network"] = network.map { .string($0.value.rawValue) }
    members["verification"] = heading.verification.map { .string($0) }
    return .object(members)
  }
}
