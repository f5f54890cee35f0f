import Glibc
import HTTPClient
import Linux
import Parts

/// One run from its start to its verdict.
@MainActor
package final class FailoverRun {
  private let options: FailoverOptions
  private let progress: (String) -> Void
  private let directory = "/tmp/botburrow-failover-\(getpid())"
  private var logs: String { options.logs ?? "\(directory)/logs" }
  private let began = ContinuousClock.now
  private var left: [Blow]
  private var report: FailoverReport

  /// - Parameter progress: told of how far it is, now and then.
  package init(_ options: FailoverOptions, progress: @escaping (String) -> Void = { _ in }) {
    self.options = options
    self.progress = progress
    // What takes longest comes first, so that all systems have work to the end.
    left = Blow.allCases.flatMap { [Blow](repeating: $0, count: options.counts[$0] ?? 0) }.reversed()
    report = FailoverReport(options)
  }

  /// Everything, with the taking down.
  package func run() async throws -> FailoverReport {
    try check(mkdir(directory, 0o755), "mkdir", directory)
    try makeDirectory(logs, owner: (getuid(), getgid()), mode: 0o755)
    let client = HTTPClient(userAgent: "botburrow-failover")
    await withTaskGroup(of: Void.self) { group in
      for index in 1...options.systems {
        group.addTask { await self.work(index, client) }
      }
    }
    report.seconds = (ContinuousClock.now - began) / .seconds(1)
    report.logs = try clear()
    return report
  }

  /// One system, from its start to its end; it takes blows as long as there are some.
  private func work(_ index: Int, _ client: HTTPClient) async {
    let (name, place) = ("system \(index)", "system-\(index)")
    var chance = SeededChance(seed: options.seed &* 1000 &+ UInt64(index))
    let ensemble = Ensemble(name, in: "\(directory)/\(place)", logs: "\(logs)/\(place)", options, client)
    do {
      do {
        try await ensemble.start(began: began)
        while let blow = left.popLast() {
          show()
          report.trials.append(try await ensemble.deal(blow, &chance, began: began))
        }
        try await ensemble.end()
      } catch {
        report.troubles.append("\(name): \(error)")
        try ensemble.kill()
      }
      report.add(ensemble.look { $0 }, of: name)
    } catch { report.troubles.append("\(name) can't be ended: \(error)") }
    show()
  }

  private func show() {
    let done = Blow.allCases.map { blow in
      "\(blow.rawValue) \(report.trials.count { $0.blow == blow }) of \(options.counts[blow] ?? 0)"
    }
    let seconds = Int((ContinuousClock.now - began) / .seconds(1))
    progress("\(done.joined(separator: ", ")); findings \(report.findings.count), \(seconds) s")
  }

  /// Removes the directory; where the logs are that are kept.
  private func clear() throws -> String? {
    var kept = options.logs
    if kept == nil, !report.isGood {
      let place = "\(directory)-failed"
      try check(rename(logs, place), "rename", place)
      kept = place
    }
    try removeTree(directory)
    return kept
  }
}
