import JSON
import Parts

/// What came of a run.
public struct ChaosReport: Sendable {
  /// How it was run.
  public let options: ChaosOptions
  /// What was asked and answered.
  public let judge: Judge
  /// From start to end.
  public let seconds: Double
  /// What is still there that should not be.
  public let left: [String]
  /// Rules that did not hold: exclusion, caps, leaders.
  public let broken: [String]
  /// What went wrong besides.
  public let troubles: [String]
  /// What supervisors got over.
  public var supervisorTroubles: [String] = []
  /// Sandboxes at once, at most.
  public var most = 0
  /// Sandboxes that ran.
  public var sandboxes = 0
  /// Terms of leadership.
  public var epochs = 0
  /// By kind.
  public var blows: [(what: String, count: Int)] = []
  /// What the proxy did to requests.
  public var faults: [(what: String, count: Int)] = []
  /// What the producer made.
  public var made: [(what: String, count: Int)] = []
  /// In Redis at the end; nil where it could not be asked.
  public var deadLetters: Int?
  /// Items that can't be read or done, which the queue is known to have taken.
  public var poison = 0
  /// Where the logs are.
  public var logs: String?
  private(set) var peer = (pushed: 0, missing: 0, bound: 0)

  init(
    options: ChaosOptions, judge: Judge, seconds: Double, left: [String], broken: [String], troubles: [String]
  ) {
    (self.options, self.judge, self.seconds) = (options, judge, seconds)
    (self.left, self.broken, self.troubles) = (left, broken, troubles)
  }

  /// A plain `BRPOP` loses what is on its way to it when Redis dies: one a death, and nothing else.
  mutating func judgePeer(pushed: Set<String>, taken: [String: Int], kills: Int) {
    peer = (pushed.count, pushed.count { taken[$0] == nil }, kills)
  }

  /// Answers beyond the first of each question.
  public var doubles: Int { judge.twice.reduce(0) { $0 + $1.ids.count - 1 } }
  /// How many of those are let pass: without keys one in 500 questions, with them none.
  public var bound: Int { options.mode == .keys ? 0 : judge.items / 500 }

  /// Whether everything is as promised.
  public var isGood: Bool {
    judge.lost.isEmpty && doubles <= bound && left.isEmpty && broken.isEmpty && troubles.isEmpty
      && judge.unasked.isEmpty
      && peer.missing <= peer.bound && deadLetters.map { $0 >= poison } == true
      // Exclusion, caps and leaders are judged by logs: where those tell of nothing, nothing was judged.
      && sandboxes > 0 && epochs > 0
  }

  /// The last line.
  public var verdict: String {
    "items \(judge.items) lost \(judge.lost.count) answered-twice \(doubles) leaked \(left.count)"
  }

  /// Everything, for people.
  public var text: String {
    func list(_ pairs: [(what: String, count: Int)]) -> String {
      pairs.map { "\($0.what) \($0.count)" }.joined(separator: ", ")
    }
    func latency(_ way: String? = nil) -> String {
      let all = judge.latencies(way)
      return [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1)].map { name, share in
        "\(name) \(percentile(share, of: all).map { "\(($0 * 100).rounded() / 100) s" } ?? "-")"
      }.joined(separator: ", ")
    }
    let total = blows.reduce(0) { $0 + $1.count }
    var lines = [
      "mode \(options.mode.rawValue), seed \(options.seed), \(Int(seconds)) s",
      "made: \(list(made))", "blows \(total): \(list(blows))", "requests to the Hub: \(list(faults))",
      "sandboxes \(sandboxes), \(most) at once of \(options.globalCap); terms of leadership \(epochs)",
      "from question to answer: \(latency()); mentions alone: \(latency("mention"))",
      "the peer took \(peer.pushed - peer.missing) of \(peer.pushed) (a dying Redis may cost \(peer.bound)); dead letters \(deadLetters.map { "\($0)" } ?? "?") of \(poison) pieces of nonsense",
    ]
    if sandboxes == 0 || epochs == 0 { lines.append("broken: the logs tell of no sandbox or of no leader") }
    if options.mode == .noKeys {
      let share = Double(doubles * 10_000 / max(1, judge.items)) / 100
      lines.append("a Hub that ignores keys: missing \(judge.lost.count), doubles \(share) %, of which 0.2 % pass")
    }
    for question in judge.lost.prefix(50) {
      lines.append("lost: \(question), \(judge.entries[question]?.way ?? "")")
    }
    for (question, ids) in judge.twice.prefix(50) {
      lines.append(
        "answered twice: \(question), \(judge.entries[question]?.way ?? ""): \(ids.joined(separator: " "))")
    }
    lines += judge.unasked.prefix(50).map { "nobody asked for \($0)" }
    lines +=
      left.map { "leaked: \($0)" } + broken.prefix(50).map { "broken: \($0)" } + troubles.map { "trouble: \($0)" }
    lines += supervisorTroubles.prefix(20).map { "the supervisor got over: \($0)" }
    if let logs { lines.append("logs: \(logs)") }
    return (lines + [verdict]).joined(separator: "\n")
  }

  /// The same for programs.
  public var json: JSONValue {
    func object(_ pairs: [(what: String, count: Int)]) -> JSONValue {
      .object(Dictionary(pairs.map { ($0.what, .integer(Int64($0.count))) }) { first, _ in first })
    }
    let latencies = judge.latencies()
    func seconds(_ share: Double) -> JSONValue { percentile(share, of: latencies).map { .number($0) } ?? .null }
    let twice: [JSONValue] = judge.twice.map { entry in
      [
        "post": .string(entry.question.post), "agent": .string(entry.question.agent),
        "comments": .array(entry.ids.map { .string($0) }),
      ]
    }
    return [
      "mode": .string(options.mode.rawValue), "seed": .string("\(options.seed)"), "seconds": .number(self.seconds),
      "items": .integer(Int64(judge.items)),
      "lost": .array(judge.lost.map { ["post": .string($0.post), "agent": .string($0.agent)] }),
      "answered_twice": .array(twice), "leaked": .array(left.map { .string($0) }),
      "broken": .array(broken.map { .string($0) }), "troubles": .array(troubles.map { .string($0) }),
      "unasked": .array(judge.unasked.map { .string($0) }), "blows": object(blows), "requests": object(faults),
      "made": object(made), "sandboxes": .integer(Int64(sandboxes)), "most_at_once": .integer(Int64(most)),
      "latency_seconds": ["p50": seconds(0.5), "p90": seconds(0.9), "p99": seconds(0.99), "longest": seconds(1)],
      "logs": logs.map { .string($0) } ?? .null, "good": .bool(isGood),
    ]
  }
}
