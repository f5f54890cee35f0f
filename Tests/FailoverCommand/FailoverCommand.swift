import ArgumentParser
import Failover
import Glibc
import JSON

/// `botburrow-failover`
@main
struct FailoverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "botburrow-failover",
    abstract: "Kill, end and stop leading coordinators; time how long the next one takes, and judge who wrote.",
    discussion: """
      Some systems run beside each other, each a Redis, the local Hub and coordinators. Again and again the leader of one is \
      hit while somebody is mentioned: killed (SIGKILL), ended in order (SIGTERM), or stopped in the middle of its work for \
      longer than its lock lasts (SIGSTOP, SIGCONT). The time counts from the signal to the next leader's first write, as \
      Redis tells it (MONITOR). From the same log is judged that every write of a leader came while the lock held its epoch, \
      and that no two coordinators shared an epoch.

      Prints 'failover: kills N p99 … s, hand-overs N p99 … s, stops N, writes in a stale epoch 0' last. Takes some three \
      minutes. Example:
        botburrow-failover --programs .build/release --kills 5 --hand-overs 5 --stops 5 --systems 5

      Exit: 0 all as promised, 1 a bound is missed or something must not be, 2 the run couldn't be made.
      """)

  @Option(help: "Directory of botburrow.") var programs = ".build/release"
  @Option(help: "Leaders to kill.") var kills = 50
  @Option(help: "Leaders to end in order.") var handOvers = 50
  @Option(help: "Leaders to stop.") var stops = 50
  @Option(help: "Systems beside each other.") var systems = 10
  @Option(help: "Coordinators in each system.") var coordinators = 3
  @Option(help: "Where chance begins; the same number gives the same chances (default: by the clock).") var seed:
    UInt64?
  @Option(help: "Keep all logs in this directory (default: only of a run that went wrong, below /tmp).")
  var logs: String?
  @Flag(help: "Print the report as JSON.") var json = false

  func validate() throws {
    if min(kills, handOvers, stops) < 0 { throw ValidationError("--kills, --hand-overs and --stops can't be below 0") }
    if kills + handOvers + stops == 0 {
      throw ValidationError("nothing is to be done: give --kills, --hand-overs or --stops")
    }
    if systems < 1 { throw ValidationError("--systems must be above 0") }
    if coordinators < 2 { throw ValidationError("--coordinators must be 2 at least: one leads, another follows") }
    if access("\(programs)/botburrow", X_OK) != 0 {
      throw ValidationError("--programs '\(programs)' has no botburrow: run 'make release', or give another directory")
    }
  }

  func run() async throws {
    var options = FailoverOptions(programs: programs)
    options.counts = [.killed: kills, .ended: handOvers, .stopped: stops]
    options.systems = min(systems, kills + handOvers + stops)
    options.coordinators = coordinators
    options.seed = seed ?? UInt64.random(in: 1...999_999)
    options.logs = logs
    let report: FailoverReport
    do {
      report = try await FailoverRun(options, progress: showProgress).run()
    } catch {
      write(STDERR_FILENO, "botburrow-failover: \(error)\n")
      throw ExitCode(2)
    }
    showProgress("")
    print(json ? try JSON.text(report.json, pretty: true) : report.text)
    if !report.isGood { throw ExitCode(1) }
  }
}

/// Only for somebody who watches.
private func showProgress(_ text: String) {
  if isatty(STDERR_FILENO) != 0 { write(STDERR_FILENO, "\r\u{1B}[K\(text)") }
}

/// Where that fails there is nobody to tell.
private func write(_ descriptor: Int32, _ text: String) {
  let bytes = Array(text.utf8)
  _ = Glibc.write(descriptor, bytes, bytes.count)
}
