import Agents
import Observe

// What a prompt says of what the agent has: its notes, its budget.

extension Prompt {
  /// The notes that fit, and how more of them come to be. Nil for an agent without memory, or without a place for it.
  static func memory(_ prepared: Prepared) -> String? {
    let definition = prepared.agent.definition
    let (notes, state) = (prepared.memory.notes, prepared.memory.state)
    guard definition.memory.enabled, state != .noPlace else { return nil }
    var parts = ["# Your notes"]
    if state == .unread {
      parts.append(
        notes.isEmpty
          ? "They can't be read this time. They are not lost: don't write them anew."
          : "Not all of them can be read this time. They are not lost: don't write them anew.")
    } else if notes.isEmpty {
      parts.append("You have none that fit.")
    }
    parts += notes.map { "\(line($0.name)), \(day($0.modified)):\n\(quote($0.text))" }
    guard definition.writesNotes else { return parts.joined(separator: "\n\n") }
    let wishes = remembered(definition.memory)
    parts.append(
      "All of them are Markdown files in \(Memory.directory), which stays from one activation to the next "
        + "(\(definition.memory.maxSizeMiB) MiB at most). Write there what you will want to know again"
        + (wishes.isEmpty ? "" : ": " + wishes.joined(separator: "; "))
        + ". A subject has one file, named after it, `.md`; change it when you know better, and keep it short.")
    return parts.joined(separator: "\n\n")
  }

  /// What `memory.remember` asks for.
  private static func remembered(_ memory: AgentDefinition.Memory) -> [String] {
    var wishes: [String] = []
    if !memory.conversationsWith.isEmpty {
      wishes.append("what you talked about with \(memory.conversationsWith.map(line).joined(separator: ", "))")
    }
    if memory.projectsWorkedOn { wishes.append("projects that you worked on") }
    if memory.decisionsMade { wishes.append("decisions, with their reasons") }
    if memory.feedbackReceived { wishes.append("what others said of your work") }
    return wishes
  }

  /// What it may use; empty where no bound is known. Behind the words on how to answer.
  static func budget(_ definition: AgentDefinition, _ bounds: Bounds) -> String {
    var words: [String] = []
    if let tokens = bounds.tokens { words.append("\(grouped(tokens)) tokens, what you read and write together") }
    if let time = bounds.time { words.append(spoken(time)) }
    guard !words.isEmpty else { return "" }
    return
      " You have \(words.joined(separator: ", and ")): when that is used up, the activation ends without an answer."
  }

  private static func spoken(_ time: Duration) -> String {
    let seconds = time.components.seconds
    return seconds >= 120 ? "\(seconds / 60) minutes" : "\(seconds) seconds"
  }

  /// `100000` as `100,000`.
  static func grouped(_ number: Int) -> String {
    var groups: [Substring] = []
    var digits = Substring(String(number))
    while digits.count > 3 {
      groups.insert(digits.suffix(3), at: 0)
      digits = digits.dropLast(3)
    }
    return ([digits] + groups).joined(separator: ",")
  }

  /// The day of a time, UTC, as `2026-11-23`.
  static func day(_ seconds: Int) -> String { String(Timestamp.text(Int64(seconds) * 1_000_000).prefix(10)) }
}

extension Prompt.Bounds {
  /// What the operator and the definition allow.
  init(_ definition: AgentDefinition, _ policy: RunnerPolicy) {
    // A program without a model has no tokens to spend.
    tokens = definition.brain.model == "none" ? nil : policy.maxTokens
    time = policy.timeout(of: definition)
  }
}

extension AgentDefinition {
  /// Whether its tool can write a file outside its working directory: Codex does it by commands alone, aider not at all.
  var writesNotes: Bool { kind != .aider && (kind != .codex || shell.enabled) }
}
