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
  /// Calls of MCP tools that were answered, and that were refused, as `server/tool`.
  var toolCalls: [String] = []
  var refusedCalls: [String] = []
  /// How the proxy of the sidecars ended connections, as `host:port result`.
  var connections: [String] = []
  /// Texts of tool servers' answers that the model was told; and those that it held before it had called anything.
  var heard: Set<String> = []
  var heardBefore: Set<String> = []
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
    if trial.case.isFailure, seconds > Case.failureLimit {
      problems.append("a failing provider kept it \(rounded(seconds)) s, more than \(rounded(Case.failureLimit)) s")
    }
    if [.tools, .sidecars].contains(trial.case) { problems += callProblems }
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

  /// What isn't as it should be of the calls of tool servers.
  private var callProblems: [String] {
    var problems: [String] = []
    let wanted = trial.servers.flatMap { server in
      server.calls.dropLast(server.refusals).map {
        "\(server.name)/\($0.tool.dropFirst("mcp__\(server.name)__".count))"
      }
    }
    let hub = trial.case == .tools && trial.tool.hasMCP ? ["hub/search"] : []
    if toolCalls.sorted() != (hub + wanted).sorted() { problems.append("MCP calls: \(toolCalls)") }
    let refused = trial.servers.flatMap { server in
      server.calls.suffix(server.refusals).map { "\(server.name)/\($0.tool.dropFirst("mcp__\(server.name)__".count))" }
    }
    if refusedCalls != refused { problems.append("refused MCP calls: \(refusedCalls)") }
    let proofs = Set(trial.servers.map(\.proof))
    if heard != proofs { problems.append("of the servers' answers the model was told: \(heard.sorted())") }
    if !heardBefore.isEmpty { problems.append("the model knew before it asked: \(heardBefore.sorted())") }
    if trial.servers.contains(where: { $0.name == "fetch" }) {
      let results = connections.map { $0.split(separator: " ").last.map(String.init) ?? "" }
      if results.first != "connected" || results.dropFirst().contains("connected") || results.count < 2 {
        problems.append("connections: \(connections.joined(separator: ", "))")
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
    for record in about where record["message"]?.string == "tool call" {
      let call = "\(record["server"]?.string ?? "")/\(record["tool"]?.string ?? "")"
      if record["status"]?.string == "ok" { toolCalls.append(call) } else { refusedCalls.append(call) }
    }
    connections = about.filter { $0["message"]?.string == "proxy connection" }.map {
      "\($0["host"]?.string ?? "") \($0["result"]?.string ?? "")"
    }
    for entry in journal {
      heard.formUnion(entry.heard)
      if entry.turn == 0 { heardBefore.formUnion(entry.heard) }
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
