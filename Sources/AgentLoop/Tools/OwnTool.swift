import JSONText

/// The loop's own tools.
public enum OwnTool: String, Sendable, CaseIterable {
  case read = "Read"
  case write = "Write"
  case edit = "Edit"
  case glob = "Glob"
  case grep = "Grep"
  case bash = "Bash"

  /// Those that an agent has: `Bash` only where its definition enables the shell.
  public static func all(_ shell: LoopBrief.Shell) -> [OwnTool] { allCases.filter { $0 != .bash || shell.enabled } }

  /// As the model is told of it.
  public func definition(_ shell: LoopBrief.Shell) -> ToolDefinition {
    ToolDefinition(name: rawValue, about: about(shell), schema: Self.schema(arguments))
  }

  private func about(_ shell: LoopBrief.Shell) -> String {
    switch self {
    case .read: "Reads a text file. Lines are numbered from 1. Long files come in parts: use offset and limit."
    case .write: "Writes a text file, with the directories above it; replaces what was there."
    case .edit: "Replaces a text in a file. old_string must occur exactly once, unless replace_all is true."
    case .glob: "Lists files whose path matches a pattern: * and ? within a name, ** across directories. Newest first."
    case .grep: "Finds lines that match a POSIX extended regular expression, in a file or below a directory."
    case .bash:
      "Runs a shell command in the working directory; gives its output and its exit code. At most "
        + "\(Int(shell.timeoutSeconds)) s."
        + (shell.allowedCommands.isEmpty ? "" : " Commands: \(shell.allowedCommands.joined(separator: ", ")).")
    }
  }

  /// One argument.
  struct Argument: Sendable {
    enum Kind: String, Sendable { case text = "string", integer, boolean }
    var name: String
    var kind: Kind
    var isRequired = false
    var about: String
  }

  private static let file = Argument(name: "file_path", kind: .text, isRequired: true, about: "The file.")
  private static let base = Argument(
    name: "path", kind: .text, about: "Where to look; the working directory without it.")

  var arguments: [Argument] {
    switch self {
    case .read:
      [
        Self.file, Argument(name: "offset", kind: .integer, about: "The first line, from 1."),
        Argument(name: "limit", kind: .integer, about: "At most so many lines; 2000 without it."),
      ]
    case .write: [Self.file, Argument(name: "content", kind: .text, isRequired: true, about: "The whole text.")]
    case .edit:
      [
        Self.file, Argument(name: "old_string", kind: .text, isRequired: true, about: "The text that goes."),
        Argument(name: "new_string", kind: .text, isRequired: true, about: "The text that comes."),
        Argument(name: "replace_all", kind: .boolean, about: "Every occurrence."),
      ]
    case .glob: [Argument(name: "pattern", kind: .text, isRequired: true, about: "Such as **/*.py."), Self.base]
    case .grep:
      [
        Argument(name: "pattern", kind: .text, isRequired: true, about: "The expression."), Self.base,
        Argument(name: "glob", kind: .text, about: "Only files whose path matches, such as *.py."),
        Argument(name: "ignore_case", kind: .boolean, about: "Capitals and small letters are the same."),
        Argument(name: "files_only", kind: .boolean, about: "Only the names of files with a match."),
      ]
    case .bash:
      [
        Argument(name: "command", kind: .text, isRequired: true, about: "The command."),
        Argument(name: "timeout_seconds", kind: .integer, about: "End it sooner."),
      ]
    }
  }

  private static func schema(_ arguments: [Argument]) -> JSONValue {
    var properties: [String: JSONValue] = [:]
    for argument in arguments {
      properties[argument.name] = ["type": .string(argument.kind.rawValue), "description": .string(argument.about)]
    }
    return [
      "type": "object", "properties": .object(properties), "additionalProperties": false,
      "required": .array(arguments.filter(\.isRequired).map { .string($0.name) }),
    ]
  }

  /// Checks arguments against the schema; the sentence names what is missing, unknown or of the wrong kind.
  public func check(_ value: JSONValue) throws(ToolTrouble) -> ToolArguments {
    let members = value.object ?? [:]
    for name in members.keys.sorted() where !arguments.contains(where: { $0.name == name }) {
      throw ToolTrouble(
        "\(rawValue) has no argument '\(name.oneLine(limit: 80))'; it has: \(arguments.map(\.name).joined(separator: ", "))"
      )
    }
    var checked = ToolArguments()
    for argument in arguments {
      guard let value = members[argument.name], value != .null else {
        if argument.isRequired { throw ToolTrouble("\(rawValue) needs '\(argument.name)'") }
        continue
      }
      switch argument.kind {
      case .text: checked.texts[argument.name] = value.string
      case .integer: checked.integers[argument.name] = value.integer.map { Int($0) }
      case .boolean: checked.flags[argument.name] = value.bool
      }
      guard checked.has(argument.name) else {
        throw ToolTrouble("'\(argument.name)' of \(rawValue) must be of type \(argument.kind.rawValue)")
      }
    }
    return checked
  }
}

/// Arguments that fit a tool's schema.
public struct ToolArguments: Sendable, Hashable {
  /// Texts by name.
  public var texts: [String: String] = [:]
  /// Whole numbers by name.
  public var integers: [String: Int] = [:]
  /// Truth values by name.
  public var flags: [String: Bool] = [:]

  /// A text that the schema requires.
  public func text(_ name: String) -> String { texts[name] ?? "" }
  fileprivate func has(_ name: String) -> Bool { texts[name] != nil || integers[name] != nil || flags[name] != nil }
}
