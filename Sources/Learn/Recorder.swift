import Glibc
import Linux

/// Answers the calls of a command and writes down what it did. One thread serves; it must be the only one.
public final class Recorder {
  private let policy: RecordingPolicy
  private let listener: CallListener
  private let followsPaths: Bool
  /// The system calls that the child itself makes before it becomes the command are nobody's need.
  private var hasBegun = false
  /// From the second call on: the first is the child's, which becomes the command by it.
  private var isCommand = false
  private let identity: Identity
  private var seen: Set<Question> = []
  /// What was seen up to now.
  public private(set) var recording = Recording()

  /// A path as a program asked for it: most ask for the same ones again and again.
  private struct Question: Hashable {
    var text: String, base: String, uses: PathUses, follows: Bool
  }

  /// - Parameters:
  ///   - identity: as whom the command runs.
  ///   - followsPaths: whether its paths are ours: not where it runs in another root.
  public init(_ listener: CallListener, policy: RecordingPolicy, identity: Identity, followsPaths: Bool = true) {
    self.listener = listener
    self.policy = policy
    self.identity = identity
    self.followsPaths = followsPaths
  }

  /// Serves calls until one of `others` has something, and says which; nil when nobody is left who could make a call.
  public func serve(until others: [Descriptor]) throws(LinuxError) -> Int? {
    while true {
      let readable = try waitReadable([listener.descriptor] + others, timeout: nil)
      if let index = readable.dropFirst().firstIndex(of: true) { return index - 1 }
      if try !serveOne() { return nil }
    }
  }

  /// Serves what waits at this moment and within `time` after; false when nobody is left.
  public func serve(for time: Duration) throws(LinuxError) -> Bool {
    let deadline = ContinuousClock.now + time
    while ContinuousClock.now < deadline {
      if try !waitReadable([listener.descriptor], timeout: deadline - ContinuousClock.now)[0] { return true }
      if try !serveOne() { return false }
    }
    return true
  }

  /// The end of the command, for the record.
  public func finish(_ end: ProcessEnd) -> Recording {
    recording.end = end
    return recording
  }

  private func serveOne() throws(LinuxError) -> Bool {
    var state = pollfd(fd: listener.descriptor.number, events: Int16(POLLIN), revents: 0)
    // A hang-up alone: no process has the filter any more.
    if withExtendedLifetime(listener, { poll(&state, 1, 0) }) > 0, Int32(state.revents) & POLLIN == 0 { return false }
    guard let call = try listener.receive() else { return true }
    switch look(at: call) {
    case .carryOn: try listener.carryOn(call)
    case .refuse(let code): try listener.refuse(call, with: code)
    }
    return true
  }

  private func look(at call: CallListener.Call) -> RecordingPolicy.Verdict {
    let tracee = Tracee(thread: call.thread)
    guard call.isNative else {
      if hasBegun, recording.foreign == nil { recording.foreign = Recording.Use(program: tracee.program) }
      return .refuse(policy.base.denied)
    }
    guard let name = policy.name(call.number) else {
      if hasBegun, recording.unknown[call.number] == nil {
        recording.unknown[call.number] = Recording.Use(program: tracee.program)
      }
      return .refuse(policy.base.unknown)
    }
    if !hasBegun {
      guard name == "execve" else { return .carryOn }
      hasBegun = true
    }
    let verdict = policy.verdict(name, call.arguments)
    defer { isCommand = true }
    let object = verdict == .carryOn ? notePaths(name, call, tracee) : nil
    count(name, call, verdict, object: object, tracee)
    return verdict
  }

  private func count(
    _ name: String, _ call: CallListener.Call, _ verdict: RecordingPolicy.Verdict, object: String?, _ tracee: Tracee
  ) {
    var record =
      recording.calls[name] ?? Recording.Call(first: use(tracee, object ?? ""))
    if verdict == .carryOn { record.count += 1 } else { record.refused += 1 }
    if let condition = policy.base.conditional[name] {
      let value = condition.value(of: call.arguments)
      // Enough to see what is asked for; a program may try any number.
      if verdict == .carryOn {
        if record.passed.count < 256 { record.passed.insert(value) }
      } else if record.failed.count < 16 {
        record.failed.insert(value)
      }
    }
    recording.calls[name] = record
  }

  /// Writes down what the call names; the first of it.
  private func notePaths(_ name: String, _ call: CallListener.Call, _ tracee: Tracee) -> String? {
    switch name {
    case "connect": return noteEndpoint(call, 1, 2, tracee, \.connections)
    case "sendto": return noteEndpoint(call, 4, 5, tracee, \.connections)
    case "bind": return noteEndpoint(call, 1, 2, tracee, \.listeners)
    case "sendmsg":
      // msg_name and msg_namelen, where the message goes if the socket isn't connected.
      guard let name = tracee.word(call.arguments[1]), name != 0, let length = tracee.word(call.arguments[1] + 8) else {
        return nil
      }
      return note(tracee.endpoint(name, length: length & 0xffff_ffff), call, tracee, \.connections)
    default: break
    }
    guard followsPaths, let arguments = PathArgument.ofCall[name] else { return nil }
    var first: String?
    for argument in arguments {
      guard let text = tracee.text(call.arguments[argument.path]), !text.isEmpty else { continue }
      var flags = argument.flags.map { call.arguments[$0] } ?? 0
      if argument.kind == .open2 { flags = tracee.word(flags) ?? 0 }
      let (uses, follows) = argument.uses(flags: flags)
      guard let base = text.hasPrefix("/") ? "/" : tracee.directory(argument.directory.map { call.arguments[$0] }),
        listener.isWaiting(call)
      else { continue }
      first = first ?? text
      let question = Question(text: text, base: base, uses: uses, follows: follows)
      // What isn't there yet may be there the next time.
      if !seen.contains(question), note(question, tracee) { seen.insert(question) }
    }
    return first
  }

  private func use(_ tracee: Tracee, _ object: String) -> Recording.Use {
    Recording.Use(program: isCommand ? tracee.program : "the command", object: object)
  }

  private func note(_ question: Question, _ tracee: Tracee) -> Bool {
    guard
      let walk = PathWalk.follow(
        question.text, from: question.base, followsLast: question.follows, as: identity, entry: FileEntry.at)
    else { return false }
    let use = use(tracee, question.text)
    var uses = question.uses
    if let entry = walk.entry {
      if uses.contains(.read), !identity.may(4, entry) { uses.remove(.read) }
      if uses.contains(.executed), !identity.may(1, entry) { uses.remove(.executed) }
      if uses.contains(.written), !canWrite(walk) { uses.remove(.written) }
    } else {
      guard uses.contains(.written), canWrite(walk) else { return false }
      uses = .written
    }
    for link in walk.links where recording.links[link] == nil { recording.links[link] = use }
    if uses.isEmpty { return true }
    var record =
      recording.paths[walk.path]
      ?? Recording.Path(
        uses: [], kind: walk.entry?.kind, first: use, isPublic: walk.entry.map { Identity.nobody.may(4, $0) } ?? true)
    record.uses.formUnion(uses)
    recording.paths[walk.path] = record
    if uses.contains(.executed), walk.entry?.kind == .file { noteInterpreter(of: walk.path, tracee) }
    return true
  }

  /// Making, renaming and removing ask the directory, changing the content asks the file; either will do here.
  private func canWrite(_ walk: PathWalk) -> Bool {
    if let parent = walk.parent, identity.may(3, parent) { return true }
    guard let entry = walk.entry, entry.kind != .directory else { return false }
    return identity.may(2, entry)
  }

  /// No call names it: the kernel opens it.
  private func noteInterpreter(of path: String, _ tracee: Tracee) {
    guard let file = try? Descriptor.open(path, O_RDONLY | O_NONBLOCK),
      let path = Interpreters.named(in: head(of: file))
    else { return }
    let question = Question(text: path, base: "/", uses: .executed, follows: true)
    if seen.insert(question).inserted { _ = note(question, tracee) }
  }

  private func head(of file: Descriptor) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = withExtendedLifetime(file) {
      buffer.withUnsafeMutableBytes { read(file.number, $0.baseAddress, $0.count) }
    }
    return Array(buffer.prefix(max(0, count)))
  }

  private func noteEndpoint(
    _ call: CallListener.Call, _ address: Int, _ length: Int, _ tracee: Tracee,
    _ place: WritableKeyPath<Recording, [Recording.Endpoint: Recording.Use]>
  ) -> String? {
    note(tracee.endpoint(call.arguments[address], length: call.arguments[length]), call, tracee, place)
  }

  private func note(
    _ endpoint: Recording.Endpoint?, _ call: CallListener.Call, _ tracee: Tracee,
    _ place: WritableKeyPath<Recording, [Recording.Endpoint: Recording.Use]>
  ) -> String? {
    guard let endpoint, listener.isWaiting(call) else { return nil }
    // Without a port it is a question which address of ours would be used.
    if endpoint.port == 0, place == \.connections { return nil }
    if recording[keyPath: place][endpoint] == nil, recording[keyPath: place].count < 256 {
      recording[keyPath: place][endpoint] = Recording.Use(program: tracee.program, object: "\(endpoint)")
    }
    return "\(endpoint)"
  }
}
