import CLinux
import Glibc
import JSON
import Leftovers
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

/// One run of `botburrow`, to its end.
func botburrow(_ arguments: [String], user: String? = nil) async throws -> (end: ProcessEnd?, output: String) {
  try await Thread.run {
    let (output, stdout) = try makePipe()
    let program: [String] =
      (user.map { ["/usr/bin/setpriv", "--reuid", $0, "--regid", $0, "--clear-groups"] } ?? [])
      + [Repository.botburrow] + arguments
    let null = try Descriptor.open("/dev/null")
    let process = try ProcessHandle(
      child: try spawn(
        program[0], program, environment: ["PATH=/usr/bin:/bin"], descriptors: [null, stdout, stdout]))
    stdout.close()
    let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    return (try process.wait(), text)
  }
}

extension HeldSandbox {
  /// Ends it, and waits for its receipt.
  func end() throws -> Receipt {
    input.close()
    return try receipt()
  }
}

/// A program that counts up, a line each time, until its input ends.
private let counting = [
  "bash", "-c", "while :; do echo $((++i)); read -t 0.01; [ $? -gt 128 ] || exit 0; done",
]
/// One that says that it is there and waits for the end of its input.
private let waiting = ["sh", "-c", "echo up; read x; exit 0"]

@Suite("Questions and orders about living sandboxes", .enabled(if: isRoot, "needs root"), .serialized)
struct ControlTests {
  private static let shared = Result { try TestSupervisor() }
  private var supervisor: TestSupervisor { get throws { try Self.shared.get() } }

  @Test func `A frozen sandbox stands still, a thawed one goes on`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let control = SupervisorControl(socket: supervisor.socket)
      let asked = request(counting)
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "1")
      try control.freeze(asked.activationID)
      #expect(try control.list().first { $0.activationID == asked.activationID }?.state == "frozen")
      // What it had said before it stood still.
      while try waitReadable([sandbox.output], timeout: .zero)[0], sandbox.line() != "" {}
      #expect(try waitReadable([sandbox.output], timeout: .milliseconds(200)) == [false])
      // Twice is once.
      try control.freeze(asked.activationID)
      try control.freeze(asked.activationID, false)
      #expect(sandbox.line() != "")
      #expect(try control.list().first { $0.activationID == asked.activationID }?.state == "running")
      #expect(try sandbox.end().exit == .exited(code: 0))
    }
  }

  @Test func `The time goes on while it stands still`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let asked = request(waiting, limits: .init(timeoutSeconds: 0.7))
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      try SupervisorControl(socket: supervisor.socket).freeze(asked.activationID)
      let receipt = try sandbox.receipt()
      #expect(receipt.exit == .timeout)
      let wall = receipt.json["wall_seconds"]?.double ?? 0
      #expect(wall >= 0.7 && wall < 1.7, "\(wall) s")
    }
  }

  @Test func `A frozen sandbox ends with its client`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let asked = request(waiting)
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      try SupervisorControl(socket: supervisor.socket).freeze(asked.activationID)
      sandbox.connection.hangUp()
      #expect(try sandbox.outputEnds(within: .seconds(1)))
      let group = try supervisor.group.child("a-\(asked.activationID)")
      #expect(holds(within: .seconds(1)) { access(group.path, F_OK) == -1 })
    }
  }

  @Test func `A frozen sandbox ends with its supervisor`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let asked = request(waiting)
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      try SupervisorControl(socket: supervisor.socket).freeze(asked.activationID)
      kill(supervisor.pid, SIGKILL)
      #expect(try sandbox.outputEnds(within: .seconds(1)))
    }
    _ = try supervisor.stop()
    // The group of the dead goes with the next.
    _ = try TestSupervisor().stop()
  }

  @Test func `What isn't there is said to be missing`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let control = SupervisorControl(socket: supervisor.socket)
      for ask in [
        { try control.freeze("nobody") }, { try control.freeze("nobody", false) },
        { _ = try control.inspect("nobody") },
      ]
        as [() throws -> Void]
      {
        let error = #expect(throws: SupervisorControl.NotFound.self) { try ask() }
        #expect(error?.description == "no activation 'nobody' runs; see 'botburrow sandbox list'")
      }
    }
  }

  @Test func `Users see and freeze what they started, root everything`() async throws {
    let supervisor = try TestSupervisor(["--cgroup", "best-effort", "--allow-user", "65534", "--allow-user", "65533"])
    let socket = supervisor.socket
    try await Thread.run {
      let asked = request(waiting)
      let ours = try HeldSandbox(supervisor, asked)
      #expect(ours.line() == "up")
      // Started by nobody: a command of that user's, which waits for its input's end.
      let (stdin, input) = try makePipe()
      let (output, stdout) = try makePipe()
      let theirs = try ProcessHandle(
        child: try spawn(
          "/usr/bin/setpriv",
          [
            "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", Repository.botburrow, "sandbox", "run",
            "--socket", socket, "--",
          ] + waiting, environment: ["PATH=/usr/bin:/bin"], descriptors: [stdin, stdout, Descriptor.borrowed(2)]))
      stdin.close()
      stdout.close()
      var text: [UInt8] = []
      var byte: UInt8 = 0
      while read(output.number, &byte, 1) == 1, byte != 10 { text.append(byte) }
      #expect(text == Array("up".utf8))

      let control = SupervisorControl(socket: socket)
      let all = try control.list()
      #expect(all.count == 2 && Set(all.map(\.user)) == [0, 65534])
      let foreign = try #require(all.first { $0.user == 65534 }).activationID
      try run(as: "65534", ["sandbox", "list", "--socket", socket, "--json"], 0) { text in
        let list = try JSONValue(parsing: Array(text.utf8)).array ?? []
        #expect(list.compactMap { $0["activation_id"]?.string } == [foreign])
      }
      try run(as: "65533", ["sandbox", "list", "--socket", socket], 0) {
        #expect($0 == "ACTIVATION  PROFILE  STATE  PID  USER  AGE\n")
      }
      try run(as: "65534", ["sandbox", "list", "--socket", socket], 0) {
        #expect($0.split(separator: "\n").last?.hasPrefix("\(foreign)  default  running  ") == true, "\($0)")
      }
      try run(as: "65534", ["sandbox", "freeze", foreign, "--socket", socket], 0) {
        #expect($0 == "\(foreign) is frozen\n")
      }
      #expect(try control.list().first { $0.activationID == foreign }?.state == "frozen")
      let missing = "botburrow: no activation '\(asked.activationID)' runs; see 'botburrow sandbox list'\n"
      for verb in ["freeze", "thaw"] {
        try run(as: "65534", ["sandbox", verb, asked.activationID, "--socket", socket], 2) { #expect($0 == missing) }
      }
      #expect(try control.list().first { $0.activationID == asked.activationID }?.state == "running")
      // Root may.
      try control.freeze(foreign, false)
      input.close()
      #expect(try theirs.wait() == .exited(0))
      #expect(try ours.end().exit == .exited(code: 0))
    }
    #expect(try supervisor.stop() == .exited(0))
  }

  private func run(
    as user: String, _ arguments: [String], _ code: Int32, _ check: (String) throws -> Void
  ) throws {
    let (output, stdout) = try makePipe()
    let process = try ProcessHandle(
      child: try spawn(
        "/usr/bin/setpriv",
        ["setpriv", "--reuid", user, "--regid", user, "--groups", "65534", Repository.botburrow] + arguments,
        environment: ["PATH=/usr/bin:/bin"], descriptors: [nil, stdout, stdout]))
    stdout.close()
    let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    #expect(try process.wait() == .exited(code), "\(arguments): \(text)")
    try check(text)
  }
}

@Suite("Denied connections", .enabled(if: isRoot, "needs root"), .serialized) struct DenialTests {
  @Test func `They stand in the receipt, in the log and in the metrics`() async throws {
    let metrics = "/tmp/botburrow-test-metrics-\(getpid()).sock"
    let supervisor = try TestSupervisor(["--cgroup", "best-effort", "--metrics", "unix:\(metrics)"])
    let script = """
      for i in 1 2 3; do echo x > /dev/udp/203.0.113.9/53; done
      echo > /dev/tcp/198.18.0.1/22; echo > /dev/tcp/198.51.100.7/443; true
      """
    let receipt = try await supervisor.run(["bash", "-c", script]).receipt
    #expect(receipt.exit == .exited(code: 0))
    #expect(
      receipt.json["network"]?["denied"] == [
        ["destination": "203.0.113.9", "port": 53, "protocol": "udp", "packets": 3],
        ["destination": "198.18.0.1", "port": 22, "protocol": "tcp", "packets": 1],
        ["destination": "198.51.100.7", "port": 443, "protocol": "tcp", "packets": 1],
      ])
    #expect(receipt.json["network"]?["denied_overflow"] == 0)
    // The control: one that tries nothing.
    let quiet = try await supervisor.run(["true"]).receipt
    #expect(quiet.json["network"]?["denied"] == [] && quiet.json["network"]?["denied_overflow"] == 0)
    let records = supervisor.log.split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }.filter {
      $0["message"] == "sandbox tried to reach what it may not"
    }
    try #require(records.count == 1)
    #expect(records[0]["level"] == "warning" && records[0]["packets"] == "5" && records[0]["destinations"] == "3")
    #expect(records[0]["activation_id"]?.string == receipt.activationID)
    #expect(
      records[0]["denied"] == "203.0.113.9:53/udp ×3, 198.18.0.1:22/tcp ×1, 198.51.100.7:443/tcp ×1")
    let (output, stdout) = try makePipe()
    let curl = try ProcessHandle(
      child: try spawn(
        "/usr/bin/curl", ["curl", "-s", "--unix-socket", metrics, "http://localhost/metrics"],
        descriptors: [nil, stdout, stdout]))
    stdout.close()
    let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    #expect(try curl.wait() == .exited(0))
    #expect(text.contains("\nbotburrow_sandbox_denied_connections_total{profile=\"default\"} 5\n"), "\(text)")
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `A scan of 300 ports is 256 of them and a sum`() async throws {
    let supervisor = try TestSupervisor()
    let script = "for p in $(seq 1 300); do echo > /dev/tcp/198.18.0.1/$p; done; true"
    let receipt = try await supervisor.run(["bash", "-c", script]).receipt
    let denied = receipt.json["network"]?["denied"]?.array ?? []
    #expect(denied.count == 256)
    #expect(receipt.json["network"]?["denied_overflow"] == 44)
    #expect(DeniedSummary(receipt: receipt.json)?.packets == 300)
    // Nothing of it stays, nor of others.
    for _ in 0..<20 { _ = try await supervisor.run(["bash", "-c", "echo > /dev/tcp/198.18.0.1/7"]) }
    let left = try SandboxReading.filter(ofSupervisor: supervisor.pid)
    #expect(left.ways == [] && left.watched == [])
    let next = try await supervisor.run(["true"]).receipt
    #expect(next.json["network"]?["denied"] == [])
    #expect(try supervisor.stop() == .exited(0))
  }
}
