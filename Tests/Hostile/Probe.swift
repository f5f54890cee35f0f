import Linux
import Sandbox

/// One thing that a hostile program might try: what it is answered inside, and that the same act works outside, so that
/// it can't be held for the wrong reason.
package struct Probe: Sendable {
  /// What the probe belongs to.
  package enum Category: String, Sendable, CaseIterable {
    case files
    case system = "proc, sys, dev"
    case mounts, namespaces, credentials
    case processes = "processes, signals"
    case calls = "system calls"
    case network
    case wayOut = "a sidecar's way out"
    case resources, leaks
    case terminals = "time, terminals"
    /// What must not be held.
    case works
  }
  package var category: Category
  /// In words; unique.
  package var name: String
  /// The probe program's words: an act of Tests/HostileProbe and its arguments. `{…}` stands for something of the ground.
  package var act: [String]
  /// What it answers inside: an errno's name, or the fact that it found. One of these.
  package var inside: [String]
  /// Nil only for what must work inside: that is itself the control of everything else.
  package var control: Control?
  /// Where the answer stands.
  var witness = Witness.output
  /// Less than the profile allows, for probes that use all they get.
  var limits = SandboxRequest.Limits(timeoutSeconds: 20)
  /// The limit of the receipt (`limits`) without which there is nothing to hold it, for want of a cgroup controller.
  var needs: String?
  /// What is measured would be disturbed by other probes beside it.
  var isAlone = false
  /// Category and name.
  package var title: String { "\(category.rawValue): \(name)" }
  /// What the program reads on its standard input.
  var input: [UInt8] = []

  /// Where a probe's answer stands.
  enum Witness: Sendable {
    /// In its one line of output; where there is none, in how it ended and what it said on standard error.
    case output
    /// In how the receipt says that it ended.
    case end
    /// In whether something of it is still alive after the receipt: `none` or `survived`.
    case survivors
    /// In how much of its output came to the one who asked for it: `cut` or `all`.
    case amount
    /// In what a filter said to many system calls.
    case sweep(Sweep)
  }

  /// The same act where no sandbox is.
  package struct Control: Sendable, Hashable {
    /// A shell script in which "$@" is the probe program with its words: surroundings that make the act harmless there,
    /// or possible at all.
    var script = #"exec "$@""#
    /// Other words than inside, where the target has another name outside.
    var act: [String]?
    /// What it answers outside. Not always `ok`: an errno that only comes behind every wall shows as much.
    package var outside: [String] = ["ok"]
    /// What it answers where this machine has nothing to try it on, with the reason.
    var unavailable: [String: String] = [:]
  }
}

extension Probe {
  /// `act` is split at spaces.
  static func held(
    _ category: Category, _ name: String, _ act: String, _ inside: String..., control: Control = Control()
  ) -> Probe {
    Probe(category: category, name: name, act: words(act), inside: inside, control: control)
  }

  /// Something that agents need, so a wall may not stand in its way.
  static func works(_ name: String, _ act: String, _ inside: String = "ok") -> Probe {
    Probe(category: .works, name: name, act: words(act), inside: [inside], control: nil)
  }

  /// A copy with something changed.
  func with(_ change: (inout Probe) -> Void) -> Probe {
    var copy = self
    change(&copy)
    return copy
  }

  static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

  /// The whole table for one profile. What depends on the profile is read from it, so that every answer is expected by
  /// value: a profile that is looser than it says breaks its probes.
  package static func table(_ profile: Profile) -> [Probe] {
    let probes =
      files(profile) + system(profile) + mounts + namespaces + processes + credentials + kernel + numbering
      + sockets + network(profile) + wayOut(profile) + resources(profile) + leaks(profile) + terminals + sweeps(profile)
      + working(profile)
    return probes.map { $0.answeredByFilter(of: profile) }
  }
}

extension Probe.Control {
  /// With other words.
  static func acting(_ act: String) -> Self { Self(act: Probe.words(act)) }
  /// As the host's root, where the answer is not `ok`.
  static func answers(_ outside: String...) -> Self { Self(outside: outside) }
  /// In fresh namespaces (options of unshare(1)), for acts that would change the host.
  static func fresh(_ options: String, act: String? = nil, answers outside: String = "ok") -> Self {
    Self(script: #"exec unshare \#(options) "$@""#, act: act.map(Probe.words), outside: [outside])
  }
  /// In a fresh network namespace, after some commands.
  static func network(_ commands: String = "true", act: String? = nil, answers outside: String = "ok") -> Self {
    Self(
      script: #"exec unshare --net sh -c 'ip link set lo up && \#(commands) && exec "$@"' sh "$@""#,
      act: act.map(Probe.words), outside: [outside])
  }
  /// In the network namespace of the other sandbox.
  static func neighbour(_ act: String? = nil) -> Self {
    Self(script: #"exec nsenter --net=/proc/{neighbour-pid}/ns/net "$@""#, act: act.map(Probe.words))
  }
  /// Where a file system in memory that nobody needs is on /mnt, and in it a file `disk`.
  static func inMemory(_ act: String, answers outside: String = "ok") -> Self {
    Self(
      script: #"exec unshare --mount sh -c 'mount -t tmpfs none /mnt; : >/mnt/disk; exec "$@"' sh "$@""#,
      act: Probe.words(act), outside: [outside])
  }
  /// In a pid namespace whose PID 1 is a shell that nobody needs.
  static func withInit(_ act: String? = nil, answers outside: String = "ok") -> Self {
    Self(
      script: #"exec unshare --pid --fork --mount-proc sh -c '"$@"; exit' sh "$@""#, act: act.map(Probe.words),
      outside: [outside])
  }

  /// Where the answer means that this machine has nothing to try it on.
  func unless(_ answer: String, _ reason: String) -> Self {
    var copy = self
    copy.unavailable[answer] = reason
    return copy
  }
}
