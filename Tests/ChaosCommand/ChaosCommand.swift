import ArgumentParser
import Chaos
import Glibc
import JSON

/// `botburrow-chaos`
@main
struct ChaosCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "botburrow-chaos",
    abstract: "Break the running system at random while it answers, and count what was lost or done twice.",
    discussion: """
      Two coordinators, four runners, two supervisors and a Redis that writes every change to disk work for the local Hub, \
      which they reach through a proxy that breaks requests. Meanwhile any of them is killed or stopped. Then nothing is \
      broken any more, everything comes to rest, and the Hub's journal is compared with what an outside producer asked.

      Prints 'items N lost 0 answered-twice 0 leaked 0' last. Needs root. Example:
        botburrow-chaos --programs .build/release --items 200

      Exit: 0 all as promised, 1 something isn't, 2 the run couldn't be made.
      """)

  @Option(help: "Directory of botburrow and botburrow-init.") var programs = ".build/release"
  @Option(help: "Directory of the sandbox profiles.") var profiles = "profiles"
  @Option(help: "Answers to ask for.") var items = 2000
  @Option(help: "So many questions a second, as long as they are answered.") var rate = 14.0
  @Option(help: "Mean seconds between two blows.") var pause = 1.2
  @Option(help: "Where chance begins; the same number gives the same chances (default: by the clock).")
  var seed: UInt64?
  @Option(help: "keys: the Hub honours Idempotency-Key; no-keys: it never sees one.") var mode = ChaosOptions.Mode.keys
  @Option(help: "Seconds of a lease.") var lease = 15
  @Option(help: "Seconds that everything may take to come to rest at the end.") var patience = 150
  @Option(help: "Keep all logs in this directory (default: only of a run that went wrong, below /tmp).")
  var logs: String?
  @Flag(help: "Print the report as JSON.") var json = false

  func validate() throws {
    if geteuid() != 0 { throw ValidationError("sandboxes need root: run it as root") }
    if items < 1 || rate <= 0 || pause <= 0 || lease < 1 || patience < 1 {
      throw ValidationError("--items, --rate, --pause, --lease and --patience must be above 0")
    }
  }

  func run() async throws {
    var options = ChaosOptions(programs: programs)
    options.profiles = profiles
    options.items = items
    options.rate = rate
    options.pause = .seconds(pause)
    options.seed = seed ?? UInt64.random(in: 1...999_999)
    options.mode = mode
    options.lease = lease
    options.patience = .seconds(patience)
    options.logs = logs
    let report: ChaosReport
    do {
      report = try await ChaosRun(options, progress: showProgress).run()
    } catch {
      write(STDERR_FILENO, "botburrow-chaos: \(error)\n")
      throw ExitCode(2)
    }
    showProgress("")
    print(json ? try JSON.text(report.json, pretty: true) : report.text)
    if !report.isGood { throw ExitCode(1) }
  }
}

extension ChaosOptions.Mode: ExpressibleByArgument {}

/// Only for somebody who watches.
private func showProgress(_ text: String) {
  if isatty(STDERR_FILENO) != 0 { write(STDERR_FILENO, "\r\u{1B}[K\(text)") }
}

/// Where that fails there is nobody to tell.
private func write(_ descriptor: Int32, _ text: String) {
  let bytes = Array(text.utf8)
  _ = Glibc.write(descriptor, bytes, bytes.count)
}
