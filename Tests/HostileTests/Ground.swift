import Glibc
import Linux
import Sandbox
import Synchronization
import Testing

/// Where the suite plays: a running supervisor, a neighbour sandbox, and a host with something to steal.
final class Ground: Sendable {
  @TaskLocal static var current: Ground?

  private let directory: String
  private let supervisor: Companion
  private let stander: Companion
  private let neighbour: SandboxConnection
  private let neighbourListeners: [Descriptor]
  private let socket: String
  private let program: [UInt8]
  private let places: [String: String]
  private let tally = Mutex(Tally())

  /// What came out.
  struct Tally {
    var probes = 0
    var held = 0
    var controls = 0
    var skipped: [String] = []
  }

  init() throws {
    directory = try Self.makeDirectory()
    let token = "hostile-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let probe = directory + "/probe"
    let built = try runOutside(
      #"cc -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -pthread -o "$1" "$2"/*.c 2>&1 && echo built"#,
      [probe, Self.resources])
    if built != "built" {
      _ = try runOutside(#"rm -rf "$1""#, [directory])
      throw GroundError("the probe program doesn't compile; it needs cc and kernel headers: \(built)")
    }
    program = try Descriptor.open(probe).readAll(limit: 16 << 20)
    try Descriptor.open(directory + "/secret", O_WRONLY | O_CREAT, mode: 0o644).write(Array("secret".utf8))

    let log = directory + "/log"
    stander = try Companion([probe, "stand", "@\(token)", directory + "/listener"], log: log)
    let standing = try stander.line().split(separator: " ").map(String.init)
    if standing.count != 2 { throw GroundError("the host's listener didn't start: \(standing)") }

    socket = directory + "/supervisor"
    let command = Self.products + "/botburrow"
    supervisor = try Companion(
      [
        command, "supervisor", "--cgroup", "best-effort", "--socket", socket, "--pool", "2", "--profiles",
        Self.profiles,
      ], log: log)
    try Self.waitFor(socket, of: supervisor, log: log)

    let address: String
    (neighbour, neighbourListeners, address) = try Self.startNeighbour(socket, token, program)
    let pids = try processes(containing: "\0neighbour\0\(token)")
    guard let neighbourPID = pids.first else { throw GroundError("the neighbour has no process") }
    places = [
      "token": token, "secret": directory + "/secret", "probe": probe, "listener": directory + "/listener",
      "port": standing[0], "host": standing[1], "stander-pid": "\(stander.pid)",
      "supervisor-pid": "\(supervisor.pid)", "neighbour": address, "neighbour-pid": "\(neighbourPID)",
    ]
  }

  /// Runs a probe in a sandbox of its own.
  func inside(_ probe: Probe) async throws -> String {
    let request = SandboxRequest(
      activationID: "probe-\(UInt64.random(in: 0...UInt64.max))", profile: "default",
      arguments: Self.command + probe.act.map(filled),
      listeners: probe.act[0] == "hear" ? [.init(name: "own", port: 9000)] : [], files: [.init(path: "probe")],
      limits: .init(timeoutSeconds: 20))
    let result = try await SupervisorLauncher(socket: socket).run(
      request, files: [program], input: [], outputLimit: 65536
    ) { listeners in
      if let listener = listeners["own"] { greet(Descriptor(owning: listener)) }
    }
    let output = String(decoding: result.output, as: UTF8.self)
    let errors = String(decoding: result.errorOutput, as: UTF8.self)
    // A probe that was ended before it could print shows how.
    return output.isEmpty ? "\(result.receipt.exit) \(errors)" : String(output.dropLast())
  }

  /// Runs a probe's control on the host.
  func outside(_ probe: Probe, _ control: Probe.Control) throws -> String {
    try runOutside(filled(control.script), [filled("{probe}")] + (control.act ?? probe.act).map(filled))
  }

  /// Counts a result.
  func count(_ change: @Sendable (inout Tally) -> Void) { tally.withLock { change(&$0) } }

  private func filled(_ text: String) -> String {
    places.reduce(text) { text, place in
      text.split(separator: "{\(place.key)}", omittingEmptySubsequences: false).joined(separator: place.value)
    }
  }

  /// Ends everything, looks whether it is gone, and reports.
  func end() throws -> String {
    let left = [places["neighbour-pid"], places["supervisor-pid"]].compactMap { $0.flatMap { pid_t($0) } }
    let namespaces = left.compactMap { namespaceIDs(pid: "\($0)")["net"] }
    try neighbour.signal(SIGKILL)
    guard case .ended = try neighbour.next() else { throw GroundError("the neighbour didn't end") }
    let end = try supervisor.end()
    _ = try stander.end()
    #expect(end == .exited(0), "the supervisor ends by itself at SIGTERM; its words are in \(directory)/log")
    #expect(try processes(containing: places["token"] ?? "") == [])
    #expect(namespaces.count == 2)
    #expect(try namespacesAlive().isDisjoint(with: namespaces))
    if end == .exited(0) { _ = try runOutside(#"rm -rf "$1""#, [directory]) }
    return tally.withLock { tally in
      """
      hostile suite: probes \(tally.probes), held \(tally.held), controls \(tally.controls), \
      controls that can't run on this machine \(tally.skipped.count)
      """ + tally.skipped.map { "\n  " + $0 }.joined()
    }
  }
}

extension Ground {
  /// The loader runs the program from a file without the execute bit, so nothing stands between init and the probe.
  private static var command: [String] {
    #if arch(x86_64)
      ["/lib64/ld-linux-x86-64.so.2", "/run/agent/probe"]
    #else
      ["/lib/ld-linux-aarch64.so.1", "/run/agent/probe"]
    #endif
  }

  /// The directory of this file, where Resources and, two up, profiles are.
  private static var here: String { "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") }
  private static var resources: String { here + "/Resources" }
  private static var profiles: String { here + "/../../profiles" }

  /// Where the package's programs are built: beside the tests.
  private static var products: String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "/" + path.split(separator: "/").dropLast().joined(separator: "/")
  }

  private static func makeDirectory() throws -> String {
    var template = Array("/var/tmp/botburrow-hostile-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw LinuxError.last("mkdtemp", "/var/tmp") }
    // Everybody may look in, so that only the walls of the sandbox keep it out.
    chmod(made, 0o755)
    return String(cString: made)
  }

  private static func waitFor(_ socket: String, of supervisor: Companion, log: String) throws {
    for _ in 0..<2000 {
      if access(socket, F_OK) == 0 { return }
      if kill(supervisor.pid, 0) < 0 { break }
      usleep(5000)
    }
    throw GroundError("the supervisor didn't start: \(try readFile(log))")
  }

  /// Another sandbox, alive for as long as the suite: its address and its listeners.
  private static func startNeighbour(
    _ socket: String, _ token: String, _ program: [UInt8]
  ) throws -> (SandboxConnection, [Descriptor], String) {
    let connection = try SandboxConnection.open(socket)
    let (read, write) = try makePipe()
    let null = try Descriptor.open("/dev/null", O_RDWR)
    try connection.spawn(
      SandboxRequest(
        activationID: token, profile: "default", arguments: command + ["neighbour", token, "7777"],
        listeners: [.init(name: "its", port: 9001)], files: [.init(path: "probe")]),
      streams: [null, write, Descriptor.borrowed(2)], files: [program])
    write.close()
    guard case .listening(let listeners) = try connection.next() else { throw GroundError("no listeners came") }
    guard case .started = try connection.next() else { throw GroundError("the neighbour didn't start") }
    let address = try Companion.line(read)
    if !address.hasPrefix("198.") { throw GroundError("the neighbour has no address but says '\(address)'") }
    return (connection, Array(listeners.values), address)
  }
}

/// Answers every connection with a word, until the sandbox and with it the listener is gone.
private func greet(_ listener: Descriptor) {
  Thread.detach {
    // A sandbox that never asks would keep this thread: who comes, comes soon.
    guard let ready = try? waitReadable([listener], timeout: .seconds(2)), ready == [true] else { return }
    let connection = Descriptor(owning: accept(listener.number, nil, nil))
    _ = write(connection.number, "hello", 5)
  }
}

/// Network namespaces that some process is in.
private func namespacesAlive() throws -> Set<UInt64> {
  Set(try processes(containing: "").compactMap { namespaceIDs(pid: "\($0)")["net"] })
}
