import JSON
import Parts

/// What came of a run.
package struct FailoverReport: Sendable {
  let options: FailoverOptions
  /// From start to end.
  package internal(set) var seconds = 0.0
  var trials: [Trial] = []
  /// What must not be, by what Redis was told.
  private(set) var findings: [String] = []
  /// What else went wrong.
  var troubles: [String] = []
  private(set) var epochs = 0
  private(set) var writes = 0
  private(set) var refusedWrites = 0
  private(set) var staleWrites = 0
  /// Where the logs are.
  var logs: String?

  init(_ options: FailoverOptions) { self.options = options }

  /// Counts what was heard of a system.
  mutating func add(_ ledger: Ledger, of system: String) {
    findings += ledger.findings.map { "\(system): \($0)" }
    epochs += ledger.terms.count
    writes += ledger.terms.reduce(0) { $0 + $1.writes }
    refusedWrites += ledger.terms.reduce(0) { $0 + $1.refusedWrites }
    staleWrites += ledger.staleWrites
  }

  private func seconds(_ blow: Blow, _ value: (Trial) -> Double) -> [Double] {
    trials.filter { $0.blow == blow }.map(value).sorted()
  }

  private func p99(_ blow: Blow) -> Double? { percentile(0.99, of: seconds(blow, \.written)) }

  private func count(_ blow: Blow) -> Int { trials.count { $0.blow == blow } }

  private var triedToWrite: Int { trials.count { $0.triedToWrite } }

  /// What was promised and isn't so.
  package var missed: [String] {
    var missed = findings + troubles
    for blow in Blow.allCases {
      let wanted = options.counts[blow] ?? 0
      if count(blow) < wanted { missed.append("\(blow.rawValue): \(count(blow)) of \(wanted) came to their end") }
      if let bound = blow.bound, let p99 = p99(blow), p99 > bound {
        missed.append("\(blow.rawValue): p99 is \(Self.text(p99)) s, above \(Self.text(bound)) s")
      }
    }
    // Where nobody tried, nothing was shown. Whether one is stopped before its last write is chance: a few may all have been too late.
    if count(.stopped) >= 10 && triedToWrite == 0 {
      missed.append("no leader that was stopped tried to write when it woke, so that refusing was not seen")
    }
    return missed
  }

  /// Whether everything is as promised.
  package var isGood: Bool { missed.isEmpty }

  /// The last line.
  package var verdict: String {
    func part(_ blow: Blow) -> String { "\(count(blow)) p99 \(p99(blow).map { "\(Self.text($0)) s" } ?? "-")" }
    return "failover: kills \(part(.killed)), hand-overs \(part(.ended)), stops \(count(.stopped)), "
      + "writes in a stale epoch \(staleWrites)"
  }

  /// Everything, for people.
  package var text: String {
    var lines = ["| the leader is | times | until | p50 | p99 | longest | bound of p99 |"]
    lines.append("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for blow in Blow.allCases where count(blow) > 0 {
      for (what, all, bound) in [
        ("another has the lock", seconds(blow, \.taken), nil),
        ("another has written", seconds(blow, \.written), blow.bound),
      ] {
        let figures = [0.5, 0.99, 1].map { share in percentile(share, of: all).map { "\(Self.text($0)) s" } ?? "-" }
        lines.append(
          "| \(blow.rawValue) | \(count(blow)) | \(what) | \(figures.joined(separator: " | ")) | "
            + "\(bound.map { "\(Self.text($0)) s" } ?? "") |")
      }
    }
    lines.append(
      "\nepochs \(epochs), writes of leaders \(writes); of \(count(.stopped)) that were stopped \(triedToWrite) tried to "
        + "write when they woke: \(refusedWrites) writes refused; \(Int(seconds)) s, seed \(options.seed)")
    lines += missed.prefix(50).map { "missed: \($0)" }
    if let logs { lines.append("logs: \(logs)") }
    return (lines + [verdict]).joined(separator: "\n")
  }

  /// The same for programs.
  package var json: JSONValue {
    func figures(_ all: [Double]) -> JSONValue {
      .object(
        Dictionary(
          uniqueKeysWithValues: [("p50", 0.5), ("p99", 0.99), ("longest", 1)].map { name, share in
            (name, percentile(share, of: all).map { .number($0) } ?? .null)
          }))
    }
    func row(_ blow: Blow) -> JSONValue {
      [
        "times": .integer(Int64(count(blow))), "until_locked_seconds": figures(seconds(blow, \.taken)),
        "until_written_seconds": figures(seconds(blow, \.written)),
        "bound_seconds": blow.bound.map { .number($0) } ?? .null,
      ]
    }
    return [
      "killed": row(.killed), "ended": row(.ended), "stopped": row(.stopped), "epochs": .integer(Int64(epochs)),
      "writes": .integer(Int64(writes)), "refused_writes": .integer(Int64(refusedWrites)),
      "stopped_that_tried_to_write": .integer(Int64(triedToWrite)), "stale_writes": .integer(Int64(staleWrites)),
      "missed": .array(missed.map { .string($0) }), "seconds": .number(seconds), "seed": .string("\(options.seed)"),
      "logs": logs.map { .string($0) } ?? .null, "good": .bool(isGood),
    ]
  }

  /// With as many digits as matter.
  private static func text(_ seconds: Double) -> String {
    let steps = seconds < 2 ? 1000.0 : 100
    let rounded = (seconds * steps).rounded() / steps
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }
}
