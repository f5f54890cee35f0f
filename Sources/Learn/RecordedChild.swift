import CLinux
import Glibc
import JSON
import Linux

/// What the process that becomes the command is told.
struct ChildOrder: Codable, Sendable {
  /// `argv`; a name without a slash is looked up in PATH.
  var arguments: [String]
  /// The command's whole environment.
  var environment: [String: String]
  /// Entered first; nil: it stays where it is.
  var directory: String?
  /// As whom it runs; nil: as it is.
  var uid: UInt32?
  var gid: UInt32?
}

/// The process that becomes the command: it puts itself under the listener, hands that over and executes.
public enum RecordedChild {
  /// - Parameter control: a SEQPACKET socket to who records, which sends what to run and the command's standard input.
  /// - Throws: what went wrong before the listener was installed; who records has been told.
  public static func run(control: Descriptor) throws {
    let socket = PacketSocket(control)
    do {
      guard let packet = try socket.receive(), let input = packet.descriptors.first else { return }
      let order = try JSON.decode(ChildOrder.self, from: packet.bytes)
      if let uid = order.uid, let gid = order.gid {
        try Capabilities.becomeUser(uid, group: gid)
      } else if cl_no_new_privileges() < 0 {
        throw LinuxError.last("prctl PR_SET_NO_NEW_PRIVS", "1")
      }
      // A recorder that is killed answers no call any more. After the change of user, which clears it.
      if cl_parent_death_signal(SIGKILL) < 0 { throw LinuxError.last("prctl PR_SET_PDEATHSIG", "SIGKILL") }
      if let directory = order.directory, chdir(directory) < 0 { throw LinuxError.last("chdir", directory) }
      let path = try find(order)
      let ready = try Descriptor(owning: duplicate(control))
      if withExtendedLifetime(input, { dup2(input.number, 0) }) < 0 { throw LinuxError.last("dup2", "standard input") }
      input.close()
      try execute(path, order, ready)
    } catch {
      try socket.send(Array("\(error)".utf8))
      throw error
    }
  }

  private static func duplicate(_ descriptor: Descriptor) throws(LinuxError) -> Int32 {
    let number = withExtendedLifetime(descriptor) { cl_duplicate_from(descriptor.number, 3) }
    if number < 0 { throw LinuxError.last("fcntl F_DUPFD_CLOEXEC", "control socket") }
    return number
  }

  /// As execvp(3) would, but before the listener is there: the search is ours, not the command's.
  private static func find(_ order: ChildOrder) throws(LinuxError) -> String {
    let name = order.arguments.first ?? ""
    let path = order.environment["PATH"] ?? "/usr/bin:/bin"
    let candidates = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
    if let found = candidates.first(where: { access($0, X_OK) == 0 }) { return found }
    throw LinuxError.last("exec", name, advice: "as user \(geteuid()), in PATH \(path)")
  }

  private static func execute(_ path: String, _ order: ChildOrder, _ control: Descriptor) throws(LinuxError) {
    var arguments: [UnsafeMutablePointer<CChar>?] = order.arguments.map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] =
      order.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    try CallListener.install(sendingTo: control)
    execve(path, &arguments, &environment)
    throw LinuxError.last("execve", path)
  }
}

/// The other end: tells the child what to run and gets the listener.
struct ChildControl {
  let socket: PacketSocket

  func send(_ order: ChildOrder, input: Descriptor) throws {
    try socket.send(try JSON.encode(order), descriptors: [input])
  }

  func listener() throws -> CallListener {
    guard let packet = try socket.receive() else {
      throw LearnError("the command could not be started: the process that becomes it ended early")
    }
    guard let listener = packet.descriptors.first else {
      throw LearnError("the command could not be started: \(String(decoding: packet.bytes, as: UTF8.self))")
    }
    return CallListener(listener)
  }
}

/// Why nothing was learned, as a sentence.
public struct LearnError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The sentence.
  public let description: String
  /// Makes an error that reads as `description`.
  public init(_ description: String) { self.description = description }
}
