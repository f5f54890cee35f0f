import JSON
import ModelStandIn

/// What came of a trial, by what can be seen from outside: the Hub, the log, the stand-in's journal.
struct Outcome: Sendable {
  var trial: Trial
  var seconds = 0.0
  /// The comment; nil for none.
  var comment: String?
  /// The activation's failure; nil for none.
  var error: String?
  /// Tokens as the Hub was told.
  var told: (input: Int, output: Int) = (0, 0)
  /// Tokens as the stand-in sent them, and whether it cut an answer.
  var sent: (input: Int, output: Int) = (0, 0)
  var wasCut = false
  /// Calls of MCP tools that were answered, as `server/tool`.
  var toolCalls: [String] = []
  /// From the first denial of the budget to the activation's end.
  var secondsAfterDenial: Double?

  /// What isn't as it should be; empty for all's well.
  var problems: [String] {
    var problems: [String] = []
    switch trial.case.wanted(trial.tool) {
    case .answer(let text):
      if comment?.contains(text) != true { problems.append("no answer: \(comment ?? error ?? "nothing was said")") }
    case .failure(let words):
      if comment != nil { problems.append("it answered: \(comment ?? "")") }
      let sentence = (error ?? "").lowercased()
      if !words.contains(where: sentence.contains) { problems.append("failure is '\(error ?? "none")'") }
    }
    // Of a cut answer the provider never said the final counts: those are estimates.
    if !wasCut, told != sent {
      problems.append("counted \(told.input)+\(told.output), sent \(sent.input)+\(sent.output)")
    }
    if trial.case == .tools, trial.tool.hasMCP, Set(toolCalls) != ["hub/search", "time/get_current_time"] {
      problems.append("MCP calls: \(toolCalls)")
    }
    if trial.case == .budget {
      switch secondsAfterDenial {
      case nil where trial.tool.endsItself: break
      case nil: problems.append("nothing was denied")
      case .some(let seconds) where seconds > 6: problems.append("ended \(seconds) s after the denial")
      default: break
      }
    }
    return problems
  }

  /// Reads it off.
  /// - Parameters:
  ///   - records: the system's log.
  ///   - journal: what the trial's stand-in sent.
  init(_ trial: Trial, end: JSONValue, records: [JSONValue], journal: [JournalEntry]) {
    self.trial = trial
    seconds = number(end["duration"])
    error = end["error"]?.string
    wasCut = journal.contains(where: \.cut)
    for usage in journal.compactMap(\.usage) {
      sent.input += usage.input + usage.cacheRead + usage.cacheWrite
      sent.output += usage.output
    }
    let about = records.filter { $0["agent_id"]?.string == trial.agent }
    toolCalls = about.compactMap { record in
      guard record["message"]?.string == "tool call", record["status"]?.string == "ok" else { return nil }
      return "\(record["server"]?.string ?? "")/\(record["tool"]?.string ?? "")"
    }
    let denial = about.first {
      $0["message"]?.string == "model call" && $0["outcome"]?.string == "budget"
    }
    if let denial = denial.flatMap({ $0["time"]?.string }).flatMap(Self.secondsOfDay),
      let ended = end["time"]?.string.flatMap(Self.secondsOfDay)
    {
      // A run over midnight is longer by a day.
      secondsAfterDenial = ended < denial ? ended - denial + 86400 : ended - denial
    }
  }

  /// `2026-11-24T17:12:03.250Z` as seconds of its day.
  static func secondsOfDay(_ timestamp: String) -> Double? {
    guard let time = timestamp.split(separator: "T").last else { return nil }
    let parts = time.prefix { $0 != "Z" && $0 != "+" }.split(separator: ":").compactMap { Double($0) }
    return parts.count == 3 ? parts[0] * 3600 + parts[1] * 60 + parts[2] : nil
  }
}

/// A number, also where the log has it as text.
private func number(_ value: JSONValue?) -> Double { value?.double ?? value?.string.flatMap { Double($0) } ?? 0 }
