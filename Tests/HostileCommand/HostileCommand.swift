import ArgumentParser
import Glibc
import Hostile
import JSON

/// `botburrow-hostile`
@main
struct HostileCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "botburrow-hostile",
    abstract: "Try to get out of a sandbox in every way we know, and show that each would work outside.",
    discussion: """
      Starts a supervisor of its own from the programs beside it, and runs each probe in a sandbox of each profile. Prints \
      'PROFILE: probes N, held N, controls N', what can't be tried on this machine and why, and every wall that didn't hold. \
      Needs root, and nothing that compiles: copy botburrow, botburrow-init, botburrow-hostile and hostile-probe anywhere. \
      Where limits by cgroup are to be tried, start it in a delegated group: \
      systemd-run --scope -p Delegate=yes botburrow-hostile …

      Exit: 0 all held, 1 something didn't, 2 the suite couldn't run.
      """)

  @Option(help: "Directory of botburrow, botburrow-init and hostile-probe (default: beside this program).")
  var programs: String?
  @Option(help: "Directory of the profiles.") var profiles = "profiles"
  @Option(
    name: [.customShort("p"), .long], help: "A profile to try; repeat for more (default: every one in --profiles).")
  var profile: [String] = []
  @Option(help: "Expect this profile's answers of every profile: shows where another is looser.") var expecting: String?
  @Option(help: "Only probes whose category and name have this text.") var only: String?
  @Option(help: "How many probes run at once.") var jobs = 8
  @Flag(help: "Print JSON: profiles with counts by category, what is unavailable, what is wrong.") var json = false
  @Flag(help: "Print every probe's answers.") var verbose = false
  @Option(help: "Write the table of profiles by category between the markers of this Markdown file, if all held.")
  var table: String?

  func validate() throws {
    if geteuid() != 0 { throw ValidationError("namespaces and controls need root: run it as root") }
    if jobs < 1 { throw ValidationError("--jobs must be at least 1, not \(jobs)") }
  }

  func run() async throws {
    let report: Report
    let left: [String]
    do {
      let places = Ground.Places(programs: programs ?? Ground.Places.besideUs, profiles: profiles)
      (report, left) = try await Suite.upon(places, width: jobs) { Report(try await parts($0)) }
      if let table, report.troubles.isEmpty { try report.write(into: table) }
    } catch {
      complain("\(error)")
      throw ExitCode(2)
    }
    print(json ? try JSON.text(report.json, pretty: true) : report.remarks)
    for thing in left { complain("left behind: \(thing)") }
    if !report.troubles.isEmpty || !left.isEmpty { throw ExitCode(1) }
  }
}

extension HostileCommand {
  /// Runs what was asked for, and prints each part when it is known.
  fileprivate func parts(_ suite: Suite) async throws -> [Report.Part] {
    var parts: [Report.Part] = []
    for name in profile.isEmpty ? suite.shipped : profile {
      let findings = try await suite.run(profile: name, as: expecting) { probe in
        only.map { probe.title.contains($0) } ?? true
      }
      let part = Report.Part(profile: name, findings: findings)
      if verbose, !json { for finding in findings { print(finding.line) } }
      if !json { print(part.line) }
      fflush(nil)
      parts.append(part)
    }
    return parts
  }
}

/// Writes a line to standard error. Where that fails there is nobody to tell.
private func complain(_ text: String) {
  let bytes = Array("botburrow-hostile: \(text)\n".utf8)
  _ = write(STDERR_FILENO, bytes, bytes.count)
}
