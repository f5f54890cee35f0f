import AgentLoop
import Glibc
import JSONText

/// `botburrow-agent`: the native loop. The prompt on standard input, the brief in a file, the result as one JSON line.
///
/// One thread, blocking calls: a loop that waits for one thing at a time needs nothing else, and starts in a millisecond.
struct Program {
  let brief: LoopBrief
  let prompt: String
  let token: String
  private let start = now()

  init() throws(ToolTrouble) {
    let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : LoopBrief.path
    do throws(JSONError) {
      brief = try LoopBrief(JSONValue(parsing: try Program.bytes(of: path).utf8))
    } catch { throw ToolTrouble("\(path): \(error)") }
    prompt = String(decoding: try Program.standardInput(), as: UTF8.self)
    token = getenv(LoopBrief.tokenVariable).map { String(cString: $0) } ?? ""
  }

  private static func bytes(of path: String) throws(JSONError) -> String {
    do throws(ToolTrouble) { return try Files.text(path) } catch { throw JSONError(error.description) }
  }

  private static func standardInput() throws(ToolTrouble) -> [UInt8] {
    try Files.readToEnd(STDIN_FILENO, "standard input", limit: 8 << 20)
  }

  private var elapsed: Double { now() - start }

  /// Talks until there is an end.
  func run() -> LoopEnd {
    let deadline = start + brief.limits.seconds
    var (box, brief) = (ToolBox(brief.shell), brief)
    for server in brief.servers {
      do throws(ToolTrouble) {
        box.add(try MCPClient(server: server, token: token).list(deadline: min(deadline, now() + 30)), of: server)
      } catch {
        note("the tools of server \(server.name) are missing: \(error)")
        brief.system += "\n\nThe tools of the server `\(server.name)` can't be reached now."
      }
    }
    let model = ModelClient(brief: brief, token: token)
    let tools = Tools(brief: brief, box: box, token: token, deadline: deadline)
    var loop = AgentLoop(brief, prompt: prompt, tools: box.definitions)
    var event = AgentLoop.Event.started
    while true {
      switch loop.next(event, at: elapsed) {
      case .callModel(let request):
        event = model.ask(request, deadline: deadline)
        note(event.line)
      case .runTools(let calls): event = .ran(calls.map { tools.run($0) })
      case .wait(let seconds):
        pause(min(seconds, max(0, deadline - now())))
        event = .waited
      case .finish(let end): return end
      }
    }
  }
}

extension AgentLoop.Event {
  /// For standard error.
  fileprivate var line: String {
    switch self {
    case .answered(let answer):
      LoopNote.answered(answer.usage, calls: Turn(.assistant, answer.parts).calls.count)
    case .failed(let failure): "model: \(failure.sentence)"
    default: ""
    }
  }
}

/// The program's whole life; its exit code.
private func perform() -> Int32 {
  let end: LoopEnd
  do throws(ToolTrouble) { end = try Program().run() } catch { end = LoopEnd(.failed(error.description)) }
  print(end.json.compactText)
  guard case .failed(let sentence) = end.outcome else { return 0 }
  note(sentence)
  return 1
}

exit(perform())
