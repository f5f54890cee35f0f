import Linux
import Parts

/// What the daemons' logs tell of things that must never be.
@MainActor
struct Evidence {
  private(set) var stays: [Exclusion.Stay] = []
  private(set) var troubles: [String] = []
  /// Which coordinator led in which epoch.
  private(set) var leaders: [Int: Set<String>] = [:]
  /// Activation ids that were queued more than once.
  private(set) var queuedTwice: [String] = []

  init(_ parts: [Part]) throws {
    var agents: [String: String] = [:]
    var queued: [String: Int] = [:]
    var open: [(start: LogLine, part: Part, life: Int, end: Int64?)] = []
    for part in parts where part.kind != .redis && part.kind != .hub {
      for (life, records) in try part.records() {
        var running: [String: LogLine] = [:]
        for record in records {
          if let id = record["activation_id"], let agent = record["agent_id"] { agents[id] = agent }
          switch record.message {
          case "sandbox started": if let id = record["activation_id"] { running[id] = record }
          case "sandbox ended":
            if let id = record["activation_id"], let start = running.removeValue(forKey: id) {
              open.append((start, part, life, record.time))
            }
          case "this coordinator leads":
            if let epoch = record["epoch"].flatMap({ Int($0) }) {
              leaders[epoch, default: []].insert("\(part.name)-\(life + 1)")
            }
          case "work was queued":
            if let id = record["activation_id"] { queued[id, default: 0] += 1 }
            // Where the record names the epoch in which it was written.
            if let epoch = record["epoch"].flatMap({ Int($0) }) {
              leaders[epoch, default: []].insert("\(part.name)-\(life + 1)")
            }
          case "supervisor trouble": troubles.append("\(part.name): \(record["problem"] ?? "")")
          default: break
          }
        }
        // Those that its end ended.
        for start in running.values { open.append((start, part, life, nil)) }
      }
    }
    for (start, part, life, end) in open {
      guard let id = start["activation_id"] else { continue }
      stays.append(
        Exclusion.Stay(
          agent: agents[id] ?? "unknown-\(id)", activation: id, host: part.name, start: start.time,
          end: end ?? part.lives[life].ended ?? .max))
    }
    queuedTwice = queued.filter { $0.value > 1 }.map(\.key).sorted()
  }

  /// Everything that broke a rule.
  func broken(_ options: ChaosOptions) -> [String] {
    var broken = Exclusion.overlaps(stays).map { "ran twice at once: \($0)" }
    let most = Exclusion.most(stays)
    if most > options.globalCap { broken.append("\(most) sandboxes at once, of \(options.globalCap)") }
    for (host, own) in Dictionary(grouping: stays, by: \.host).sorted(by: { $0.key < $1.key }) {
      // Two runners a host.
      let most = Exclusion.most(own)
      if most > 2 * options.runnerCap {
        broken.append("\(most) sandboxes at once at \(host), of \(2 * options.runnerCap)")
      }
    }
    for (epoch, names) in leaders.sorted(by: { $0.key < $1.key }) where names.count > 1 {
      broken.append("epoch \(epoch) had two leaders: \(names.sorted().joined(separator: ", "))")
    }
    broken += queuedTwice.map { "queued twice: \($0)" }
    return broken
  }
}
