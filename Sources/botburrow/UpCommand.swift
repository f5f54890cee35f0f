import ArgumentParser
import Configuration
import Glibc
import HTTPClient
import JSON
import Linux
import Sandbox
import Work

/// `botburrow up`
struct UpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Run the whole system on this machine, in the foreground.",
    discussion: """
      Starts what the configuration doesn't name elsewhere: a private Redis on a Unix socket, a local Hub; and always the \
      supervisor, a coordinator and one runner a pool. What dies is started again; everything ends with this command.
      Needs root: the supervisor runs as root with a few capabilities, all others as an ordinary user without any.

        botburrow up --agents examples
      """)

  @OptionGroup var settings: SettingsOptions
  @Option(help: "Keep Redis, Hub and receipts here; without it they are gone at the end.") var data: String?
  @Option(help: "Where the local Hub listens (IPv4 address and port; port 0 takes a free one).")
  var hubListen = "127.0.0.1:8455"
  @Flag(help: "The local Hub asks for no key.") var hubOpen = false
  @Option(
    help: "User that everything but the supervisor runs as; otherwise 'botburrow' if there is one, else 'nobody'.")
  var user: String?
  @Option(help: "Directory of sandbox profiles.") var profiles: String?
  @Option(help: "required or best-effort; otherwise best-effort where controllers are absent.")
  var cgroup: Profile.ControlGroupPolicy?
  @Option(help: "trace, debug, info, notice, warning or error.") var logLevel = "info"

  func run() throws {
    guard geteuid() == 0 else { throw ValidationError("'up' must be started as root: the supervisor makes namespaces") }
    if DelegatedScope.isNeeded {
      try DelegatedScope.enter(
        DelegatedScope.command(Places.executable, Array(CommandLine.arguments.dropFirst())))
    }
    let signals = try SignalWatch([SIGINT, SIGTERM, SIGHUP, SIGCHLD])
    signal(SIGPIPE, SIG_IGN)
    let system = try LocalSystem(self)
    defer { system.tearDown() }
    do {
      try system.start(signals)
      print(system.summary)
      // A pipe's reader waits for this line.
      fflush(nil)
      try system.watch(signals)
    } catch is LocalSystem.Interrupted {
      // It was told to end while it started.
    }
  }
}
