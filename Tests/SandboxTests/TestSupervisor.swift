import CLinux
import Glibc
import JSON
import Leftovers
import Linux
import Synchronization
import Testing

@testable import Sandbox

/// A `botburrow supervisor` of a test's own. It ends with `stop()`, and with the test process: a shell beside it waits for
/// the end of a pipe that this process holds.
final class TestSupervisor: Sendable {
  let directory: String
  let pid: pid_t
  private let shell: ProcessHandle
  private let lifeline: Descriptor
  private static let counter = Atomic<Int>(0)

  var socket: String { directory + "/supervisor.sock" }
  var launcher: SupervisorLauncher { SupervisorLauncher(socket: socket) }

  struct NotServing: Error { var reason: String, log: String }

  /// Starts one and waits until it serves.
  init(
    _ arguments: [String] = ["--cgroup", "best-effort"], environment: [String] = [],
    profiles: [String: String]? = nil
  ) throws {
    let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
    directory = "/tmp/botburrow-test-\(getpid())-\(number)"
    mkdir(directory, 0o755)
    for (name, text) in profiles ?? [:] {
      try Descriptor.open("\(directory)/\(name).yaml", O_WRONLY | O_CREAT).write(text.utf8)
    }
    let (stdin, lifeline) = try makePipe()
    let (answer, stdout) = try makePipe()
    let errors = try Descriptor.open(directory + "/log", O_WRONLY | O_CREAT)
    let script = """
      program=$1; shift; "$program" "$@" >&2 & p=$!; echo $p
      read x; kill $p 2>/dev/null; wait $p; end=$?; rm -r "$directory"; exit $end
      """
    shell = try ProcessHandle(
      child: try spawn(
        "/bin/sh",
        [
          "sh", "-c", script, "sh", Repository.botburrow, "supervisor", "--socket", directory + "/supervisor.sock",
          "--profiles", profiles == nil ? Repository.profiles : directory,
        ] + arguments, environment: ["PATH=/usr/bin:/bin", "directory=\(directory)"] + environment,
        descriptors: [stdin, stdout, errors], ownGroup: true))
    self.lifeline = lifeline
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while read(answer.number, &byte, 1) == 1, byte != 10 { text.append(byte) }
    pid = pid_t(String(decoding: text, as: UTF8.self)) ?? 0
    // There is no word when it serves; connecting is the question.
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      do {
        _ = try PacketSocket.connect(to: socket)
        return
      } catch {
        if ContinuousClock.now > deadline { throw NotServing(reason: "\(error)", log: log) }
        usleep(2000)
      }
    }
  }

  deinit { _ = try? stop() }

  /// Ends it as an administrator would (SIGTERM) and tells how it ended; the second time nil.
  func stop() throws -> ProcessEnd? {
    lifeline.close()
    return try? shell.wait()
  }

  /// What it said on standard error.
  var log: String { (try? readFile(directory + "/log")) ?? "" }

  /// The group below which its sandboxes have theirs.
  var group: ControlGroup {
    get throws { try ControlGroup.current().child("botburrow-\(pid)") }
  }

  /// PID 1 of the sandboxes alive now: each is a child of one of the supervisor's threads, in a PID namespace of its own.
  var sandboxes: [pid_t] {
    get throws {
      let own = namespaceIDs(pid: "\(pid)")["pid"]
      return try children.filter { namespaceIDs(pid: "\($0)")["pid"].map { $0 != own } ?? false }
    }
  }

  /// The processes that make them.
  var launchers: [pid_t] {
    get throws {
      let own = namespaceIDs(pid: "\(pid)")["pid"]
      return try children.filter { namespaceIDs(pid: "\($0)")["pid"] == own }
    }
  }

  private var children: [pid_t] {
    get throws {
      try directories(in: "/proc/\(pid)/task").flatMap { thread in
        ((try? readFile("/proc/\(pid)/task/\(thread)/children")) ?? "").split(separator: " ").compactMap { pid_t($0) }
      }
    }
  }

  func run(
    _ arguments: [String], input: [UInt8] = [], files: [(String, [UInt8])] = [],
    limits: SandboxRequest.Limits = .init(), outputLimit: Int = 16 << 20
  ) async throws -> SandboxResult {
    try await launcher.run(
      request(arguments, files: files.map { .init(path: $0.0) }, limits: limits), files: files.map(\.1), input: input,
      outputLimit: outputLimit, serve: { _ in })
  }
}

private let number = Atomic<Int>(0)

/// A request of the default profile with an id of its own.
func request(
  _ arguments: [String], files: [SandboxRequest.File] = [], listeners: [SandboxRequest.Listener] = [],
  limits: SandboxRequest.Limits = .init()
) -> SandboxRequest {
  SandboxRequest(
    activationID: "test-\(getpid())-\(number.wrappingAdd(1, ordering: .relaxed).newValue)", profile: "default",
    arguments: arguments, listeners: listeners, files: files, limits: limits)
}

/// One sandbox whose connection and pipes the test holds itself.
struct HeldSandbox {
  let connection: SandboxConnection
  let input: Descriptor
  let output: Descriptor

  /// Asks for it; the streams are pipes (errors go with the output).
  init(_ supervisor: TestSupervisor, _ request: SandboxRequest) throws {
    let (stdin, input) = try makePipe()
    let (output, stdout) = try makePipe()
    connection = try SandboxConnection.open(supervisor.socket)
    (self.input, self.output) = (input, output)
    try connection.spawn(request, streams: [stdin, stdout, stdout], files: [])
  }

  /// The next line of the program's output, or what there is before its end.
  func line() -> String {
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while read(output.number, &byte, 1) == 1, byte != 10 { text.append(byte) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Reads answers up to the receipt.
  func receipt() throws -> Receipt {
    while true { if case .ended(let receipt) = try connection.next() { return receipt } }
  }

  /// Whether everyone who held the output's other end is gone within this time.
  func outputEnds(within time: Duration) throws -> Bool {
    let deadline = ContinuousClock.now + time
    var buffer = [UInt8](repeating: 0, count: 4096)
    while try waitReadable([output], timeout: deadline - ContinuousClock.now)[0] {
      if read(output.number, &buffer, buffer.count) == 0 { return true }
    }
    return false
  }
}

/// Looks until it is so, or the time is up.
func holds(within time: Duration, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + time
  while true {
    if try condition() { return true }
    if ContinuousClock.now > deadline { return false }
    usleep(2000)
  }
}
