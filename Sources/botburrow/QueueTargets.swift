import ArgumentParser
import Glibc
import JSON
import Work

/// What 'pause', 'resume' and 'drain' are about.
struct QueueTargets: ParsableArguments {
  @Argument(help: "notification, exploration, hybrid; nothing at all: the whole system.") var pools: [Pool] = []
  @Option(parsing: .upToNextOption, help: "Agents, by id.") var agent: [String] = []
  @Option(
    parsing: .upToNextOption,
    help: "Runners, by id, as 'botburrow runners' shows them.")
  var runner: [String] = []

  func validate() throws {
    guard [!pools.isEmpty, !agent.isEmpty, !runner.isEmpty].filter({ $0 }).count <= 1 else {
      throw ValidationError("give pools, or --agent, or --runner")
    }
    if let bad = (agent + runner).first(where: { !WorkItem.isName($0) }) {
      throw ValidationError("'\(bad)' can't be an id: it is 1 to 128 characters without '/' and spaces")
    }
  }

  var scope: PauseScope {
    if !agent.isEmpty { return .agents(agent) }
    if !runner.isEmpty { return .runners(runner) }
    return pools.isEmpty ? .system : .pools(pools)
  }
}

extension PauseScope {
  /// The names that the queue knows them by, each with what it is called here.
  var named: [(name: String, words: String)] {
    switch self {
    case .system: [("", "the whole system")]
    case .pools(let pools): pools.map { ($0.rawValue, $0.rawValue) }
    case .agents(let ids): ids.map { ($0, "agent \($0)") }
    case .runners(let ids): ids.map { ($0, "runner \($0)") }
    }
  }
  var words: String { named.map(\.words).joined(separator: ", ") }

  var json: JSONValue {
    switch self {
    case .system: "all"
    case .pools(let pools): .array(pools.map { .string($0.rawValue) })
    case .agents(let ids): ["agents": .array(ids.map { .string($0) })]
    case .runners(let ids): ["runners": .array(ids.map { .string($0) })]
    }
  }
}

/// One line that is written over and over where somebody looks, and gone in the end; elsewhere nothing.
struct ProgressLine: Sendable {
  /// Whether somebody looks.
  let isShown: Bool

  /// - Parameter isWanted: false where the answer is for a program.
  init(isWanted: Bool) { isShown = isWanted && isatty(STDERR_FILENO) != 0 }

  func show(_ text: String) { if isShown { writeError("\r\u{1B}[K\(text)") } }
  func end() { if isShown { writeError("\r\u{1B}[K") } }
}
