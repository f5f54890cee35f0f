import Testing

/// One thing that a hostile program might try: what it is answered inside, and that the same act works outside, so that
/// it can't be held for the wrong reason.
struct Probe: Sendable {
  /// What the probe belongs to.
  enum Category: String, Sendable, CaseIterable {
    case files, mounts, namespaces, processes, sockets, network, kernel, identity, leaks, limits, numbering, works
  }
  var category: Category
  /// In words; unique.
  var name: String
  /// The probe program's words: an act of Resources/*.c and its arguments. `{…}` stands for something of the ground.
  var act: [String]
  /// What it prints inside: an errno's name, or the fact that it found. One of these.
  var inside: [String]
  /// Nil only for what must work inside: that is itself the control of everything else.
  var control: Control?
  /// The same act where no sandbox is.
  struct Control: Sendable {
    /// A shell script in which "$@" is the probe program with its words: surroundings that make the act harmless there,
    /// or possible at all.
    var script = #"exec "$@""#
    /// Other words than inside, where the target has another name outside.
    var act: [String]?
    /// What it prints outside. Not always `ok`: an errno that only comes behind every wall shows as much.
    var outside: [String] = ["ok"]
    /// What it prints where this machine has nothing to try it on, with the reason.
    var unavailable: [String: String] = [:]
  }
}

extension Probe: CustomTestStringConvertible {
  var testDescription: String { "\(category.rawValue): \(name)" }
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

  static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

  /// The whole table.
  static let all =
    files + mounts + namespaces + processes + sockets + network + kernel + identity + leaks + limits + numbering
    + working
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
  static func network(_ commands: String, act: String? = nil) -> Self {
    Self(
      script: #"exec unshare --net sh -c 'ip link set lo up && \#(commands) && exec "$@"' sh "$@""#,
      act: act.map(Probe.words))
  }
  /// In the network namespace of the other sandbox.
  static let neighbour = Self(script: #"exec nsenter --net=/proc/{neighbour-pid}/ns/net "$@""#)

  /// Where the outcome means that this machine has nothing to try it on.
  func unless(_ outcome: String, _ reason: String) -> Self {
    var copy = self
    copy.unavailable[outcome] = reason
    return copy
  }
}
