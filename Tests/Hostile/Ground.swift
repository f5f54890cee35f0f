import Glibc
import JSON
import Linux
import Sandbox

/// Where the suite plays: a running supervisor, a neighbour sandbox, and a host with something to steal.
package final class Ground: Sendable {
  /// Where things are.
  package struct Places: Sendable {
    /// Holds `botburrow`, `botburrow-init` and `hostile-probe`.
    package var programs: String
    /// Holds `<name>.yaml`.
    package var profiles: String
    /// Names where they are.
    package init(programs: String, profiles: String) {
      self.programs = programs
      self.profiles = profiles
    }

    /// The directory of the running program, where the package's other programs are built too.
    package static var besideUs: String {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
      }
      let path = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
      return "/" + path.split(separator: "/").dropLast().joined(separator: "/")
    }
  }

  /// What came of a probe inside.
  struct Inside: Sendable {
    var answer: String
    /// Limits that nobody enforces here, as the receipt says: `memory: …`.
    var notEnforced: [String]
  }

  /// What the supervisor was given.
  package let profiles: ProfileSet
  private let directory: String
  private let supervisor: Companion
  private let stander: Companion
  private let neighbour: SandboxConnection
  private let neighbourListeners: [Descriptor]
  private let socket: String
  private let program: [UInt8]
  private let proxies: Proxies
  private let places: [String: String]

  /// Starts all of it. `changed`: profiles of the suite's own beside the shipped ones, by name.
  package init(_ from: Places, changed: [String: String] = [:]) async throws {
    directory = try Self.makeDirectory()
    do {
      let token = "hostile-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      profiles = try ProfileSet(copying: from.profiles, to: directory + "/profiles", changed: changed)
      let probe = directory + "/probe"
      program = try Descriptor.open(from.programs + "/hostile-probe").readAll(limit: 64 << 20)
      try Descriptor.open(probe, O_WRONLY | O_CREAT, mode: 0o755).write(program)
      try Descriptor.open(directory + "/secret", O_WRONLY | O_CREAT, mode: 0o644).write(Array("secret".utf8))
      mkdir(directory + "/mount", 0o755)

      let log = directory + "/log"
      let shared = Int32.random(in: 1...Int32.max)
      stander = try Companion([probe, "stand", "@\(token)", directory + "/listener", "\(shared)"], log: log)
      let standing = try stander.line().split(separator: " ").map(String.init)
      guard standing.count == 3, let port = UInt16(standing[0]) else {
        throw GroundError("the host's listener didn't start: \(standing)")
      }
      socket = directory + "/supervisor"
      supervisor = try Companion(
        [
          from.programs + "/botburrow", "supervisor", "--cgroup", "best-effort", "--socket", socket, "--log-level",
          "error",
          "--profiles", directory + "/profiles",
        ], log: log)
      try Self.waitFor(socket, of: supervisor, log: log)

      let address: String
      (neighbour, neighbourListeners, address) = try Self.startNeighbour(socket, token, program)
      guard let neighbourPID = try processes(containing: "\0neighbour\0\(token)").first else {
        throw GroundError("the neighbour has no process")
      }
      proxies = try await Proxies(port: port, host: standing[1])
      var places = [
        "token": token, "secret": directory + "/secret", "secret-below-root": String(directory.dropFirst() + "/secret"),
        "directory": directory, "probe": probe, "listener": directory + "/listener", "port": "\(port)",
        "port-hexadecimal": hexadecimal(port), "host": standing[1], "stander-pid": "\(stander.pid)",
        "stander-group": "\(getpgid(stander.pid))", "supervisor-pid": "\(supervisor.pid)", "neighbour": address,
        "neighbour-pid": "\(neighbourPID)", "shared": "\(shared)", "host-name": hostName(),
        "other-port": standing[2], "open-proxy": "\(proxies.openPort)",
      ]
      for (kind, inode) in namespaceIDs(pid: "self") { places["namespace-\(kind)"] = "\(inode)" }
      self.places = places
    } catch {
      _ = try runOutside(#"rm -rf "$1""#, [directory])
      throw error
    }
  }

  /// Runs a probe in a sandbox of its own.
  func inside(_ probe: Probe, profile: String) async throws -> Inside {
    let unique = "hostile-\(UInt64.random(in: 0...UInt64.max))"
    let act = probe.act.map { filled($0, unique: unique) }
    let listeners: [SandboxRequest.Listener] =
      switch probe.act[0] {
      case "hear": [.init(name: "own", port: 9000)]
      case "through": Proxies.listeners
      default: []
      }
    let request = SandboxRequest(
      activationID: "probe-\(UInt64.random(in: 0...UInt64.max))", profile: profile, arguments: Self.command + act,
      listeners: listeners, files: [.init(path: "probe")], limits: probe.limits)
    let result: SandboxResult
    let ways = proxies.makeWays()
    do {
      result = try await SupervisorLauncher(socket: socket).run(
        request, files: [program], input: probe.input, outputLimit: 1 << 20
      ) { listeners in
        if let listener = listeners["own"] { greet(Descriptor(owning: listener)) }
        try await ways.serve(listeners)
      }
      await ways.stop()
    } catch {
      await ways.stop()
      guard let refusal = error as? SandboxRefused else { throw error }
      return Inside(answer: "refused: \(refusal)", notEnforced: [])
    }
    let notEnforced = result.receipt.json["not_enforced"]?.array?.compactMap(\.string) ?? []
    return Inside(answer: try answer(probe, result, unique), notEnforced: notEnforced)
  }

  private func answer(_ probe: Probe, _ result: SandboxResult, _ unique: String) throws -> String {
    let output = String(decoding: result.output, as: UTF8.self)
    let errors = String(decoding: result.errorOutput, as: UTF8.self)
    // A probe that was ended before it could print shows how.
    let end = "\(result.receipt.exit)" + (errors.isEmpty ? "" : " " + errors)
    switch probe.witness {
    case .output: return output.isEmpty ? end : String(output.dropLast())
    case .end: return end
    case .survivors:
      if output != "ok\n" { return output.isEmpty ? end : output }
      return try processes(containing: unique).isEmpty ? "none" : "survived"
    case .amount: return result.outputTruncated ? "cut" : "all"
    case .sweep(let sweep): return sweep.judge(output)
    }
  }

  /// Runs a probe's control on the host.
  func outside(_ probe: Probe, _ control: Probe.Control) throws -> String {
    let unique = "hostile-\(UInt64.random(in: 0...UInt64.max))"
    let words = [filled("{probe}")] + (control.act ?? probe.act).map { filled($0, unique: unique) }
    let output = try runOutside(filled(control.script), words, input: probe.input)
    switch probe.witness {
    case .output, .end: return output
    case .survivors:
      let left = try processes(containing: "\0outlive\0\(unique)")
      for pid in left { kill(pid, SIGKILL) }
      return left.isEmpty ? "none" : "survived"
    case .amount: return output.hasSuffix("\nend") ? "all" : "cut"
    case .sweep(let sweep): return sweep.judgeOutside(output)
    }
  }

  /// The same probe with what it expects as it is on this ground.
  func expecting(_ probe: Probe) -> Probe {
    let outside = probe.control?.outside.map { filled($0) }
    return probe.with {
      $0.inside = probe.inside.map { filled($0) }
      if let outside { $0.control?.outside = outside }
    }
  }

  private func filled(_ text: String, unique: String = "") -> String {
    places.reduce(text == "{unique}" ? unique : text) { text, place in
      text.split(separator: "{\(place.key)}", omittingEmptySubsequences: false).joined(separator: place.value)
    }
  }

  /// Ends everything, and looks whether it is gone; each thing that isn't, in words.
  package func end() async throws -> [String] {
    var left: [String] = []
    await proxies.stop()
    let pids = [places["neighbour-pid"], places["supervisor-pid"]].compactMap { $0.flatMap { pid_t($0) } }
    let namespaces = pids.compactMap { namespaceIDs(pid: "\($0)")["net"] }
    if namespaces.count != 2 { left.append("the supervisor or the neighbour had ended before") }
    try neighbour.signal(SIGKILL)
    guard case .ended = try neighbour.next() else { throw GroundError("the neighbour didn't end") }
    let end = try supervisor.end()
    _ = try stander.end()
    if end != .exited(0) {
      left.append("the supervisor didn't end by itself at SIGTERM; its words are in \(directory)/log")
    }
    let alive = try processes(containing: places["token"] ?? "")
    if !alive.isEmpty { left.append("processes that still live: \(alive)") }
    if try !namespacesAlive().isDisjoint(with: namespaces) { left.append("network namespaces that still live") }
    if left.isEmpty { _ = try runOutside(#"rm -rf "$1""#, [directory]) }
    return left
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

  private static func makeDirectory() throws -> String {
    var template = Array("/var/tmp/botburrow-hostile-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw LinuxError.last("mkdtemp", "/var/tmp") }
    // Everybody may look in, so that only the walls of the sandbox keep it out.
    chmod(made, 0o755)
    return String(cString: made)
  }

  private static func waitFor(_ socket: String, of supervisor: Companion, log: String) throws {
    // There is no word when it serves; connecting is the question.
    for _ in 0..<2000 {
      do {
        _ = try PacketSocket.connect(to: socket)
        return
      } catch {
        if kill(supervisor.pid, 0) < 0 { break }
        usleep(5000)
      }
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
        activationID: token, profile: ProfileSet.neighbour, arguments: command + ["neighbour", token, "7777"],
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

/// As /proc/net/tcp writes it.
private func hexadecimal(_ port: UInt16) -> String {
  let digits = String(port, radix: 16, uppercase: true)
  return String(repeating: "0", count: 4 - digits.count) + digits
}

private func hostName() -> String {
  var name = utsname()
  uname(&name)
  return withUnsafePointer(to: &name.nodename) {
    $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
  }
}
