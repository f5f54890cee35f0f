import Glibc
import Linux

/// On a systemd host we may make cgroups only in a part of the tree that was delegated to us (systemd's
/// "Control Group APIs and Delegation"), and only there are all controllers; so what makes sandboxes runs in such a scope.
enum DelegatedScope {
  /// Whether this process is where it mustn't make cgroups.
  static var isNeeded: Bool {
    ControlGroup.needsScope(
      hasSystemd: access("/run/systemd/system", F_OK) == 0, isInside: Places.variable("BOTBURROW_SCOPE") != nil,
      isDelegated: (try? ControlGroup.current().isDelegated) ?? false)
  }

  /// The command that runs a program there. How many tasks a sandbox may have its profile says; systemd's own limit, 15 % of
  /// what the host allows, would count all of them together.
  static func command(_ executable: String, _ arguments: [String]) -> [String] {
    [
      "/usr/bin/systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes",
      "--property=TasksMax=infinity", "--setenv=BOTBURROW_SCOPE=1", "--", executable,
    ] + arguments
  }

  /// Becomes that command.
  static func enter(_ command: [String]) throws {
    setenv("BOTBURROW_SCOPE", "1", 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    execv(command[0], &arguments)
    throw LinuxError.last(
      "execve", command[0], advice: "install systemd, or set BOTBURROW_SCOPE=1 to stay where you are")
  }
}
