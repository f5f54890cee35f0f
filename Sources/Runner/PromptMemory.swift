import Agents

// What a prompt says of what the agent has: its notes, its budget.

extension Prompt {
  /// The notes that fit, and how more of them come to be.
  static func memory(_ prepared: Prepared) -> String {
    let definition = prepared.agent.definition
    var parts = ["# Your notes"]
    if prepared.notes.isEmpty { parts.append("You have none that fit.") }
    parts += prepared.notes.map { "\(line($0.name)), \(day($0.modified)):\n\(quote($0.text))" }
    guard definition.kind.writesNotes else { return parts.joined(separator: "\n\n") }
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

  private static func grouped(_ number: Int) -> String {
    var groups: [Substring] = []
    var digits = Substring(String(number))
    while digits.count > 3 {
      groups.insert(digits.suffix(3), at: 0)
      digits = digits.dropLast(3)
    }
    return ([digits] + groups).joined(separator: ",")
  }

  /// The day of a time, UTC, as `2026-11-23`: the civil calendar counted from 1 March, so that leap days come last.
  static func day(_ seconds: Int) -> String {
    let days = Int((Double(seconds) / 86400).rounded(.down)) + 719_468
    let era = Int((Double(days) / 146_097).rounded(.down))
    let inEra = days - era * 146_097
    let yearInEra = (inEra - inEra / 1460 + inEra / 36524 - inEra / 146_096) / 365
    let dayInYear = inEra - (365 * yearInEra + yearInEra / 4 - yearInEra / 100)
    let shifted = (5 * dayInYear + 2) / 153
    let day = dayInYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearInEra + era * 400 + (month <= 2 ? 1 : 0)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month))-\(two(day))"
  }
}

extension Prompt.Bounds {
  /// What the operator and the definition allow.
  init(_ definition: AgentDefinition, _ policy: RunnerPolicy) {
    // A program without a model has no tokens to spend.
    tokens = definition.brain.model == "none" ? nil : policy.maxTokens
    time = [definition.sandbox.timeout, policy.timeout].compactMap { $0 }.min()
  }
}

extension AgentDefinition.Kind {
  /// Whether the tool can write a file outside its working directory.
  var writesNotes: Bool { self != .aider }
}
