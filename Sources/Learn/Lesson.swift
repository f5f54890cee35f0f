import Glibc
import Linux
import Sandbox

/// Learns a profile for one command: records it, and verifies what came of it.
public struct Lesson {
  /// What to learn, from what, and how.
  public struct Options: Sendable {
    /// The learned profile's name.
    public var name = "learned"
    /// Leave what the base has and the command didn't use.
    public var keepsUnused = false
    /// How often a verification may start again.
    public var rounds = 5
    /// The defaults.
    public init() {}
  }
  /// What came of it.
  public struct Outcome: Sendable {
    /// The profile.
    public var profile: LearnedProfile
    /// What stands in its head.
    public var heading: LearnedProfile.Heading
    /// Nil: it was not asked for.
    public var isVerified: Bool?
  }

  /// The profile under which a sandbox is recorded.
  private static let wide = "learning-wide"
  private let command: Command
  private let base: Profile
  private let options: Options
  private let scratch: ScratchDirectory

  /// - Parameter scratch: a new directory, outside of what the base's scratch directories hide.
  /// - Throws: where the base's files aren't this host's, or the name is taken.
  public init(_ command: Command, base: Profile, options: Options, scratch: ScratchDirectory) throws(LearnError) {
    guard base.root == .scratch else {
      throw LearnError(
        "profile '\(base.name)' has a root of its own, where paths of this host mean nothing; learn from one without 'root'"
      )
    }
    guard base.syscalls.oci == nil else {
      throw LearnError(
        "profile '\(base.name)' takes its system calls from an OCI file, to which nothing can be added; learn from one with "
          + "'syscalls.allow'")
    }
    if options.name == base.name || options.name == Self.wide {
      throw LearnError("a profile that extends '\(base.name)' can't be named '\(options.name)'; choose another --name")
    }
    (self.command, self.base, self.options, self.scratch) = (command, base, options, scratch)
  }

  private func make(_ recording: Recording, shown: Set<String> = [], keepsUnused: Bool) -> LearnedProfile {
    var options = LearnedProfile.Options()
    options.keepsUnused = keepsUnused
    options.shownPaths = shown
    return LearnedProfile.make(
      from: recording, base: base,
      surroundings: Surroundings(workspace: scratch.workspace, temporary: scratch.temporary), options: options)
  }

  /// Records it on the host.
  public func record(_ run: HostRun, signals: SignalWatch) throws -> Recording {
    try run.record(
      command, base: base,
      surroundings: Surroundings(workspace: scratch.workspace, temporary: scratch.temporary), signals: signals)
  }

  /// The profile of a recording, unverified.
  public func outcome(of recording: Recording) -> Outcome {
    Outcome(
      profile: make(recording, keepsUnused: options.keepsUnused),
      heading: .init(command: command.arguments, end: recording.end))
  }

  /// Runs the command under the learned profile until it ends as it did when it was recorded. Each round records it once in a
  /// sandbox, where some things go another way than on the host, and runs it once under the profile that came of both.
  /// - Parameters:
  ///   - load: reads a profile by name from a directory.
  ///   - baseDirectory: where the base and its parents are.
  public func verify(
    _ first: Recording, _ run: SandboxedRun, baseDirectory: String,
    load: (_ name: String, _ directory: String) throws -> Profile, report: (String) -> Void
  ) throws -> Outcome {
    var recording = first
    var shown: Set<String> = []
    let ports = SandboxedRun.ports(first)
    var verdict = ""
    let program = try ProgramCopy.make(in: scratch.program)
    for round in 1...max(1, options.rounds) {
      report("verification, round \(round): recording in a sandbox")
      var wide = make(recording, shown: shown, keepsUnused: true)
      let policy = RecordingPolicy(
        base: base.syscalls.allowing(wide.allow.map(\.value)), admitsOthers: false)
      wide.showRecorder(scratch.program, base.syscalls)
      let profiles = try scratch.profiles(copying: baseDirectory)
      try scratch.write(Self.wide, wide.text(.init(command: command.arguments, end: first.end)), in: profiles)
      let before = recording.calls
      let inside = try run.record(
        command, profile: try load(Self.wide, profiles), profiles: profiles, ports: ports, program: program,
        policy: policy)
      recording.merge(callsOf: inside.recording)

      report("verification, round \(round): running under the learned profile")
      let learned = make(recording, shown: shown, keepsUnused: options.keepsUnused)
      try scratch.write(options.name, learned.text(.init(command: command.arguments, end: first.end)), in: profiles)
      let cause = try run.run(
        command, profile: try load(options.name, profiles), profiles: profiles, ports: ports)
      if cause == ExitCause(first.end) {
        return outcome(
          learned, first, "Verified: in a sandbox of it the command ended the same way, in round \(round).", true)
      }
      verdict = "NOT verified: in a sandbox of it the command ended differently: \(cause)."
      let isNew = Set(before.keys) != Set(recording.calls.keys)
      if !isNew {
        // No call was missing, so a file may be: those that were asked for come next, once.
        if !shown.isEmpty || learned.lookedAt.isEmpty { return outcome(learned, first, verdict, false) }
        shown = Set(learned.lookedAt)
      }
    }
    return outcome(make(recording, shown: shown, keepsUnused: options.keepsUnused), first, verdict, false)
  }

  private func outcome(_ profile: LearnedProfile, _ recording: Recording, _ verdict: String, _ isVerified: Bool)
    -> Outcome
  {
    Outcome(
      profile: profile, heading: .init(command: command.arguments, end: recording.end, verification: verdict),
      isVerified: isVerified)
  }
}

extension ExitCause {
  /// A process's end, where nobody ended it.
  init(_ end: ProcessEnd) {
    self =
      switch end {
      case .exited(let code): .exited(code: Int(code))
      case .signaled(let signal): .signal(Int(signal))
      }
  }
}

extension SeccompPolicy {
  /// With these calls besides.
  func allowing(_ names: [String]) -> SeccompPolicy {
    var policy = self
    policy.allowed.formUnion(names)
    return policy
  }
}

extension LearnedProfile {
  /// Room for the process that becomes the command, where that is recorded in a sandbox.
  mutating func showRecorder(_ directory: String, _ base: SeccompPolicy) {
    readOnly.append(Addition(directory, "the recorder"))
    let calls = [
      "seccomp", "sendmsg", "recvmsg", "prctl", "fcntl", "dup2", "execve", "access", "getdents64", "openat", "mmap",
    ]
    for name in calls where !base.allowed.contains(name) && base.conditional[name] == nil {
      if !allow.contains(where: { $0.value == name }) { allow.append(Addition(name, "the recorder")) }
    }
  }
}
