import AgentLoop
import Glibc
import JSONText

/// Runs tools: the loop's own, and those of servers.
struct Tools {
  let brief: LoopBrief
  let box: ToolBox
  let token: String
  /// The whole activation's, on `now()`'s clock.
  let deadline: Double
  /// One call of a server, seconds.
  private static let serverLimit = 120.0

  /// What the model may be sent of one result: a part of its window, and never more than this.
  private var resultLimit: Int { max(2000, min(30_000, brief.window / 2)) }

  /// Runs one call. Whatever goes wrong is a result that says so.
  func run(_ call: ToolCall) -> ToolResult {
    let start = now()
    var result: ToolResult
    do throws(ToolTrouble) {
      let (text, isError) = try output(call)
      result = ToolResult(call, text, isError: isError)
    } catch {
      result = ToolResult(call, error.description, isError: true)
    }
    let milliseconds = Int((now() - start) * 1000)
    note(
      LoopNote.called(
        call.name, isError: result.isError, bytes: result.text.utf8.count, milliseconds: milliseconds,
        about: about(call)))
    result.text = Shortened.middle(result.text, limit: resultLimit)
    return result
  }

  /// The command, the file, the pattern. What servers' tools are called with is theirs.
  private func about(_ call: ToolCall) -> String? {
    guard case .own = box.place(call.name), let arguments = try? call.arguments() else { return nil }
    return ["command", "file_path", "pattern"].lazy.compactMap { arguments[$0]?.string }.first
  }

  private func output(_ call: ToolCall) throws(ToolTrouble) -> (text: String, isError: Bool) {
    let arguments = try call.arguments()
    switch box.place(call.name) {
    case nil: throw ToolTrouble("there is no tool '\(call.name)'")
    case .server(let server, let tool):
      return try MCPClient(server: server, token: token).call(
        tool, arguments, deadline: min(deadline, now() + Self.serverLimit))
    case .own(let tool):
      let checked = try tool.check(arguments)
      switch tool {
      case .read: return (try readFile(checked), false)
      case .write: return (try write(checked), false)
      case .edit: return (try edit(checked), false)
      case .glob: return (try SearchTools(deadline: deadline).glob(checked), false)
      case .grep: return (try SearchTools(deadline: deadline).grep(checked), false)
      case .bash: return try Shell(rules: brief.shell, deadline: deadline).run(checked)
      }
    }
  }

  private func readFile(_ arguments: ToolArguments) throws(ToolTrouble) -> String {
    try TextEdit.numbered(
      try Files.text(arguments.text("file_path")), offset: arguments.integers["offset"] ?? 1,
      limit: arguments.integers["limit"] ?? 2000, bytes: resultLimit - 200)
  }

  private func write(_ arguments: ToolArguments) throws(ToolTrouble) -> String {
    let (path, content) = (arguments.text("file_path"), arguments.text("content"))
    try Files.write(content, to: path)
    return "wrote \(content.utf8.count) bytes to \(path)"
  }

  private func edit(_ arguments: ToolArguments) throws(ToolTrouble) -> String {
    let path = arguments.text("file_path")
    let (text, count) = try TextEdit.replacing(
      arguments.text("old_string"), with: arguments.text("new_string"), in: try Files.text(path),
      all: arguments.flags["replace_all"] ?? false)
    try Files.write(text, to: path)
    return "replaced \(count) \(count == 1 ? "place" : "places") in \(path)"
  }
}
