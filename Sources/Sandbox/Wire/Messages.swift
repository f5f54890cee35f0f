import JSON
import Linux

// One connection is one activation: the client sends `spawn` with the program's three streams and its files, the
// supervisor answers with listeners, then with the end. Whoever hangs up ends the sandbox.

/// From the supervisor. Written and read by hand: `Codable` tries each kind of value in turn, and a sandbox's client waits
/// for it.
struct SupervisorMessage: Sendable {
  /// The listeners' names, in the order of the descriptors that travel along. Comes first, where any were asked for.
  var listening: [String]?
  /// The program was given the order to start; should that fail, the receipt says so.
  var started: Bool?
  /// It is over and gone: the receipt.
  var ended: JSONValue?
  /// There was nothing to run: why, in a sentence.
  var refused: String?
  /// To a question that is none about a sandbox to be made.
  var answer: JSONValue?

  /// One JSON object with the members that are there.
  var bytes: [UInt8] {
    var members: [String: JSONValue] = [:]
    members["listening"] = listening.map { .array($0.map { .string($0) }) }
    members["started"] = started.map { .bool($0) }
    members["ended"] = ended
    members["refused"] = refused.map { .string($0) }
    members["answer"] = answer
    return JSONValue.object(members).compactBytes
  }
}

extension SupervisorMessage {
  /// Reads one.
  init(parsing bytes: [UInt8]) throws(JSONError) {
    let message = try JSONValue(parsing: bytes)
    listening = message["listening"]?.array?.compactMap(\.string)
    started = message["started"]?.bool
    ended = message["ended"]
    refused = message["refused"]?.string
    answer = message["answer"]
  }
}

/// The supervisor would not, or could not, run it.
public struct SandboxRefused: Error, Sendable, Hashable, CustomStringConvertible {
  /// A sentence that says what to do.
  public let description: String
  /// Says why.
  public init(_ description: String) { self.description = description }
}

extension SandboxRequest {
  /// What is wrong with the request before anything is made; nil when nothing is.
  func objection(descriptors: Int) -> String? {
    let isIdentifier = { (text: String) in
      !text.isEmpty && text.utf8.count <= 64
        && text.utf8.allSatisfy {
          $0 == 45 || $0 == 95 || (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
        }
    }
    if !isIdentifier(activationID) {
      return "activationID '\(activationID)' must be 1 to 64 letters, digits, '-' or '_'"
    }
    if arguments.isEmpty || arguments[0].isEmpty { return "there is no command to run" }
    let texts = arguments + environment.flatMap { [$0.key, $0.value] } + [workingDirectory ?? ""]
    if texts.contains(where: { $0.utf8.contains(0) }) { return "arguments and environment can't hold a NUL byte" }
    if let name = environment.keys.first(where: { $0.isEmpty || $0.contains("=") }) {
      return "'\(name)' can't be the name of an environment variable"
    }
    let wanted = 3 + files.count + (hasSecrets ? 1 : 0)
    if descriptors != wanted {
      let secrets = hasSecrets ? ", secrets" : ""
      return "\(files.count) files\(secrets) and 3 streams need \(wanted) descriptors, \(descriptors) came"
    }
    // With the sandbox's own they travel in one packet, which holds 250 (SCM_MAX_FD is 253).
    if files.count > 230 { return "\(files.count) files are more than 230; put some into one" }
    for file in files
    where !isCleanAbsolutePath("/" + file.path) || file.path.utf8.contains(0)
      || file.path.split(separator: "/").first == "out"
    {
      return "'\(file.path)' can't be a file's place under /run/agent"
    }
    if Set(files.map(\.path)).count != files.count { return "two files have the same place under /run/agent" }
    if listeners.count > 32 { return "\(listeners.count) listeners are more than 32" }
    if Set(listeners.map(\.port)).count != listeners.count || listeners.contains(where: { $0.port == 0 }) {
      return "each listener needs a port of its own"
    }
    for listener in listeners where !isIdentifier(listener.name) {
      return "a listener's name '\(listener.name.prefix(64))' must be 1 to 64 letters, digits, '-' or '_'"
    }
    if Set(listeners.map(\.name)).count != listeners.count { return "two listeners have the same name" }
    // Not only nonsense: -1 processes is what the kernel calls "unlimited".
    if let bytes = limits.memoryBytes, bytes < 1 << 20 { return "memoryBytes \(bytes) must be at least 1048576" }
    if let cpus = limits.cpus, !(cpus >= 0.01) { return "cpus \(cpus) must be at least 0.01" }
    if let pids = limits.pids, pids < 2 { return "pids \(pids) must be at least 2" }
    if let bytes = limits.workspaceBytes, bytes < WorkspaceStore.smallest {
      return "workspaceBytes \(bytes) must be at least \(WorkspaceStore.smallest)"
    }
    if let objection = tightening?.objection() { return objection }
    if let workspace, !WorkspaceStore.isName(workspace) { return WorkspaceError.badName(workspace).description }
    if let seconds = limits.timeoutSeconds, !(seconds > 0 && seconds < 1e7) {
      return "timeoutSeconds \(seconds) must be more than 0"
    }
    return nil
  }
}
