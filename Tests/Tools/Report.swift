import JSON

/// What came of all cases.
struct Report: Sendable {
  /// What was not tried, and why.
  struct Skip: Sendable {
    var tool: String
    var why: String
  }
  /// What should have been tried and couldn't be.
  struct Missing: Sendable {
    var tool: String
    var trouble: String
  }
  var outcomes: [Outcome] = []
  var skips: [Skip] = []
  var missing: [Missing] = []

  /// Tried, or to be tried.
  var cases: Int { outcomes.count + missing.count }
  var held: Int { outcomes.count { $0.problems.isEmpty } }
  var summary: String { "tools: cases \(cases), held \(held), skipped \(skips.count)" }

  /// For a person.
  func show() {
    var rows = outcomes.map { outcome in
      let problems = outcome.problems
      let after = outcome.secondsAfterDenial.map { "\(rounded($0)) s after denial; " } ?? ""
      return [
        outcome.trial.tool.kind, outcome.trial.case.rawValue, problems.isEmpty ? "ok" : "WRONG",
        "\(rounded(outcome.seconds)) s", "\(outcome.told.input)+\(outcome.told.output)",
        outcome.wasCut ? "cut" : "\(outcome.sent.input)+\(outcome.sent.output)",
        problems.isEmpty ? after + (outcome.comment ?? outcome.error ?? "") : problems.joined(separator: "; "),
      ]
    }
    rows += missing.map { [$0.tool, "all", "WRONG", "", "", "", $0.trouble] }
    rows += skips.map { [$0.tool, "all", "skipped", "", "", "", $0.why] }
    columns(["tool", "case", "", "took", "counted", "sent", "what came of it"], rows)
    print(summary)
  }

  /// For a program.
  var json: JSONValue {
    [
      "cases": .integer(Int64(cases)), "held": .integer(Int64(held)),
      "skipped": .array(skips.map { ["tool": .string($0.tool), "reason": .string($0.why)] }),
      "missing": .array(missing.map { ["tool": .string($0.tool), "problem": .string($0.trouble)] }),
      "outcomes": .array(outcomes.map(\.json)),
    ]
  }
}

extension Outcome {
  fileprivate var json: JSONValue {
    [
      "tool": .string(trial.tool.kind), "case": .string(trial.case.rawValue),
      "servers": .array(trial.servers.map { .string($0.name) }),
      "problems": .array(problems.map { .string($0) }), "seconds": .number(seconds),
      "tokens_counted": [.integer(Int64(told.input)), .integer(Int64(told.output))],
      "tokens_sent": [.integer(Int64(sent.input)), .integer(Int64(sent.output))],
      "tool_calls": .array(toolCalls.map { .string($0) }),
      "seconds_after_denial": secondsAfterDenial.map { .number($0) } ?? .null,
      "error": error.map { .string($0) } ?? .null, "comment": comment.map { .string($0) } ?? .null,
    ]
  }
}

/// Tenths of a second.
func rounded(_ seconds: Double) -> String { "\((seconds * 10).rounded() / 10)" }

/// Columns as wide as their widest cell; the last is as it is, shortened.
private func columns(_ head: [String], _ rows: [[String]]) {
  let all = [head] + rows
  let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
  for row in all {
    let cells = row.enumerated().map { column, cell in
      column == row.count - 1
        ? String(cell.replacing("\n", with: " ").prefix(200))
        : cell + String(repeating: " ", count: widths[column] - cell.count)
    }
    print(cells.joined(separator: "  "))
  }
}
