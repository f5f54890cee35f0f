import Linux
import Sandbox

/// The smallest profile under which a recorded command runs again, as what it adds to and takes from a base profile.
public struct LearnedProfile: Sendable, Hashable {
  /// Something added, and why.
  public struct Addition<Value: Sendable & Hashable>: Sendable, Hashable {
    /// What.
    public var value: Value
    /// Who needed it first: one line for the reader.
    public var reason: String
    /// Puts one together.
    public init(_ value: Value, _ reason: String) { (self.value, self.reason) = (value, reason) }
  }
  /// A condition on a call's argument, tighter than the base's.
  public struct Condition: Sendable, Hashable {
    /// The call.
    public var name: String
    /// What its argument must be like.
    public var condition: SeccompPolicy.Condition
  }

  /// The base profile's name.
  public var base: String
  /// Paths to show besides the base's.
  public var readOnly: [Addition<String>] = []
  /// Writable directories besides the base's.
  public var scratch: [Addition<String>] = []
  /// System calls besides the base's.
  public var allow: [Addition<String>] = []
  /// Conditions of the base that can be tighter.
  public var when: [Condition] = []
  /// Set where it differs from the base's.
  public var network: Addition<Profile.Network>?
  /// Read-only paths of the base that were not used, sorted.
  public var removedReadOnly: [String] = []
  /// Scratch directories of the base that were not used, sorted.
  public var removedScratch: [String] = []
  /// System calls of the base that were not used, sorted.
  public var removedCalls: [String] = []
  /// How many calls of the base stay.
  public var keptCalls = 0
  /// What the reader should know, one sentence each.
  public var notes: [String] = []
  /// Where it connected to.
  public var connections: [Addition<Recording.Endpoint>] = []
  /// Where it listened.
  public var listeners: [Addition<Recording.Endpoint>] = []
  /// Host paths that were looked at, not opened, and aren't shown: the first candidates where the command doesn't run.
  public var lookedAt: [String] = []

  /// How a profile is made of a recording.
  public struct Options: Sendable, Hashable {
    /// Leave what the base has and the command didn't use.
    public var keepsUnused = false
    /// Host paths that are shown although they were only looked at: what a verification lacked.
    public var shownPaths: Set<String> = []
    /// The defaults.
    public init() {}
  }

  /// Decides; touches nothing.
  public static func make(
    from recording: Recording, base: Profile, surroundings: Surroundings, options: Options = Options()
  ) -> LearnedProfile {
    var learned = LearnedProfile(base: base.name)
    learned.learnCalls(recording, base.syscalls, options)
    learned.learnPaths(recording, base, surroundings, options)
    learned.learnNetwork(recording, base)
    return learned
  }

  private mutating func learnCalls(_ recording: Recording, _ base: SeccompPolicy, _ options: Options) {
    let used = Set(recording.calls.filter { $0.value.count > 0 }.keys).union(InitCalls.always)
    let ofBase = base.allowed.union(base.conditional.keys)
    for name in used.subtracting(ofBase).subtracting(base.errnos.keys).sorted() {
      if let call = recording.calls[name] {
        allow.append(Addition(name, reason(call.first)))
      } else if InitCalls.ofInit[name] != nil {
        allow.append(Addition(name, "botburrow-init: \(InitCalls.ofInit[name] ?? "")"))
      }
    }
    keptCalls = ofBase.intersection(used).count
    if !options.keepsUnused {
      removedCalls = ofBase.subtracting(used).filter { SeccompPolicy.number(of: $0) != nil }.sorted()
      tighten(recording, base, options)
    }
    noteDenied(recording, base)
  }

  /// A list of allowed values keeps those that were used. What the other tests let through is open-ended, and stays.
  private mutating func tighten(_ recording: Recording, _ base: SeccompPolicy, _ options: Options) {
    for (name, condition) in base.conditional.sorted(by: { $0.key < $1.key }) {
      guard case .oneOf(let values) = condition.test, let call = recording.calls[name], call.count > 0,
        !condition.isWide
      else { continue }
      let kept = values.filter { call.passed.contains($0) }
      if kept.count < values.count {
        when.append(
          Condition(name: name, condition: SeccompPolicy.Condition(argument: condition.argument, .oneOf(kept))))
      }
    }
  }

  private mutating func noteDenied(_ recording: Recording, _ base: SeccompPolicy) {
    for (name, call) in recording.calls.sorted(by: { $0.key < $1.key }) where call.refused > 0 {
      if let condition = base.conditional[name] {
        let values = call.failed.sorted().map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
        notes.append(
          "\(name) with argument \(condition.argument) = \(values) (\(call.first.program)) does not meet the base's "
            + "condition; it was denied in the recording too and is not added.")
      } else if base.errnos[name] == nil {
        notes.append(
          "\(name) (\(reason(call.first))) is a call that no profile should allow; it was denied in the recording too "
            + "and is not added.")
      }
    }
    for (number, use) in recording.unknown.sorted(by: { $0.key < $1.key }) {
      notes.append("system call \(number) (\(use.program)) is newer than libseccomp; it was denied, as inside.")
    }
    if let use = recording.foreign {
      notes.append("\(use.program) made a call of another architecture, which every profile denies.")
    }
  }

  private mutating func learnNetwork(_ recording: Recording, _ base: Profile) {
    let isNetwork = { (endpoint: Recording.Endpoint) in endpoint.port != nil }
    connections = recording.connections.sorted { $0.key < $1.key }.map { Addition($0.key, $0.value.program) }
    listeners = recording.listeners.sorted { $0.key < $1.key }.map { Addition($0.key, $0.value.program) }
    let first = connections.first { isNetwork($0.value) } ?? listeners.first { isNetwork($0.value) }
    if let first, base.network == .none {
      network = Addition(.gateway, "\(first.reason) used \(first.value)")
    } else if first == nil, base.network == .gateway {
      network = Addition(.none, "no address of a network was used")
    }
    for connection in connections where connection.value.port == nil && !connection.value.address.hasPrefix("@") {
      let (path, program) = (connection.value.address, connection.reason)
      guard path.hasPrefix("/"), recording.paths[path]?.uses.contains(.written) != true else { continue }
      notes.append("\(program) looked for a service at unix:\(path), which no sandbox has.")
    }
  }

  func reason(_ use: Recording.Use) -> String {
    use.object.isEmpty ? use.program : "\(use.program): \(use.object)"
  }
}
