import ArgumentParser
import Glibc
import JSON
import Learn
import Linux
import Sandbox

/// `botburrow profile learn`
struct ProfileLearn: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "learn",
    abstract: "Run a command, and print the smallest profile that lets it run.",
    discussion: """
      The command is run while every system call of it is written down; what comes out is a profile that extends --base: \
      the paths and calls that it needs besides, and a 'remove' for what the base has and it didn't use. Read it before you \
      use it: each line says who needed it.

      The recording is no sandbox. The command runs with this host's files and network, so learn only what you trust. It \
      runs as an ordinary user (the one who called sudo, else nobody; --user says another), with the base's environment, in \
      an empty directory that is its HOME and working directory as /workspace is in a sandbox: name its input by absolute \
      paths outside /tmp. Its output goes to standard error. What every profile should deny (mount, ptrace, io_uring, …) and \
      what the base has a condition for is denied in the recording too, as the sandbox would do it.

      --verify (as root) runs it again in sandboxes of the new profile and adds what was missing, until it ends as it did. \
      The word {gateway} in arguments and in --env is 127.0.0.1 while it is recorded and the gateway's address in a sandbox, \
      where the ports that it connected to are served from this host's loopback.

      Exit code: 0 when a profile is printed (and verified, if asked), 1 when it could not be verified, 125 when nothing \
      could be learned.

      Example: botburrow profile learn --name cloner --verify -- git clone /srv/project.git copy
      """)

  @Option(help: "The profile to start from.") var base = "default"
  @Option(help: "Name of the new profile.") var name = "learned"
  @Option(name: .shortAndLong, help: "Write the profile to this file instead of standard output.") var output: String?
  @Option(help: "Directory of profiles.") var profiles: String?
  @Option(name: .shortAndLong, help: "Variable NAME=VALUE for the command; repeat for more.") var env: [String] = []
  @Option(help: "User who runs the command; 'root' for root (needs root).") var user: String?
  @Option(help: "File that is the command's standard input in every run.") var input = "/dev/null"
  @Flag(help: "Run it again under the new profile, and add what was missing.") var verify = false
  @Option(help: "How often the verification may start again.") var rounds = 5
  @Option(help: "required or best-effort: what happens where limits can't be enforced (with --verify).")
  var cgroup: Profile.ControlGroupPolicy?
  @Flag(help: "Leave what the base has and the command didn't use.") var keepUnused = false
  @Flag(help: "Print JSON: the profile's parts, its notes, and its text.") var json = false
  @Argument(parsing: .postTerminator, help: "The command and its arguments, after '--'.") var command: [String]

  func validate() throws {
    if command.isEmpty {
      throw ValidationError("there is no command; put it behind '--': botburrow profile learn -- git --version")
    }
    for entry in env where !entry.contains("=") { throw ValidationError("--env '\(entry)' must be NAME=VALUE") }
    if verify, geteuid() != 0 { throw ValidationError("--verify makes sandboxes of its own, which needs root") }
    if user != nil, geteuid() != 0 { throw ValidationError("--user needs root") }
    if !(1...50).contains(rounds) { throw ValidationError("--rounds \(rounds) must be 1…50") }
    let isName = name.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...122).contains($0) }
    if !isName || !(1...64).contains(name.utf8.count) {
      throw ValidationError("--name '\(name)' must be 1 to 64 small letters, digits and '-'")
    }
  }

  func run() throws {
    let signals = try SignalWatch([SIGINT, SIGTERM, SIGHUP])
    let outcome: Lesson.Outcome
    do { outcome = try learn(signals) } catch let error as ExitCode { throw error } catch {
      complain("\(error)")
      throw ExitCode(125)
    }
    let text =
      json
      ? try JSON.text(outcome.profile.json(outcome.heading, name: name), pretty: true) + "\n"
      : outcome.profile.text(outcome.heading)
    if let output {
      try Descriptor.open(output, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
    } else {
      print(text, terminator: "")
    }
    if outcome.isVerified == false {
      complain(outcome.heading.verification ?? "not verified")
      throw ExitCode(1)
    }
  }

  private func learn(_ signals: SignalWatch) throws -> Lesson.Outcome {
    let directory = try Places.profiles(profiles)
    let identity = try identity()
    let scratch = try ScratchDirectory(owner: identity ?? Identity(uid: geteuid(), gid: getegid()))
    defer { do { try scratch.remove() } catch { complain("\(error)") } }
    let variables = env.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
    let order = Command(
      command, environment: Dictionary(variables.map { (String($0[0]), String($0[1])) }) { _, last in last },
      identity: identity, inputPath: input)
    var options = Lesson.Options()
    (options.name, options.keepsUnused, options.rounds) = (name, keepUnused, rounds)
    let lesson = try Lesson(order, base: try Self.load(base, directory), options: options, scratch: scratch)
    let child = ["botburrow"] + ProfileLearnChild.path
    let errors = Descriptor.borrowed(2)
    complain("recording the command, as user \(identity?.uid ?? geteuid())")
    let recording = try lesson.record(
      HostRun(child: ("/proc/self/exe", child), output: errors), signals: signals)
    if recording.end != .exited(0) {
      complain(
        "while it was recorded the command \(LearnedProfile.words(recording.end)): the profile covers what it did until then"
      )
    }
    if !verify { return lesson.outcome(of: recording) }
    let run = SandboxedRun(
      connect: { try SupervisorCommand.startPrivate(profiles: $0, cgroup: cgroup) },
      childArguments: ProfileLearnChild.path, output: errors, signals: signals)
    return try lesson.verify(recording, run, baseDirectory: directory, load: Self.load, report: complain)
  }

  private static func load(_ name: String, _ directory: String) throws -> Profile {
    try ProfileFile.load(name, from: ProfileSource(directory: directory)).profile
  }

  /// As whom the command runs; nil: as we are.
  private func identity() throws -> Identity? {
    if geteuid() != 0 { return nil }
    let account = try Accounts.user(user ?? Places.variable("SUDO_UID").flatMap { $0 == "0" ? nil : $0 } ?? "nobody")
    return Identity(uid: account.uid, gid: account.gid)
  }
}

/// The process that becomes the learned command; see `RecordedChild`.
struct ProfileLearnChild: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "learn-child", shouldDisplay: false)
  static let path = ["profile", "learn-child"]

  func run() throws {
    do { try RecordedChild.run(control: Descriptor.borrowed(0)) } catch { throw ExitCode(126) }
  }
}
