import CLinux
import Glibc
import JSON
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0
private let lacksMemory = (try? ControlGroup.current().controllers().contains("memory")) != true

/// Runs a program of the host's to its end; it must succeed.
private func command(_ arguments: [String]) throws {
  let (output, stdout) = try makePipe()
  let process = try ProcessHandle(
    child: try spawn(
      "/usr/bin/env", ["env"] + arguments, environment: ["PATH=/usr/sbin:/usr/bin"], descriptors: [nil, stdout, stdout])
  )
  stdout.close()
  let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
  #expect(try process.wait() == .exited(0), "\(arguments): \(text)")
}

/// A living sandbox is compared with what its supervisor meant it to be, and somebody tampers with it from outside.
@Suite("Verifying a living sandbox", .enabled(if: isRoot, "needs root"), .serialized) struct VerifyTests {
  private func tampered(
    _ tamper: @escaping @Sendable (TestSupervisor, Inspection) throws -> Void
  ) async throws -> [String] {
    let supervisor = try TestSupervisor()
    let found = try await Thread.run {
      let asked = request(
        ["sh", "-c", "echo up; read x"], listeners: [.init(name: "hub", port: 8081)])
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      let control = SupervisorControl(socket: supervisor.socket)
      let inspection = try control.inspect(asked.activationID)
      // The control: untouched, it is as it should be.
      let before = try inspection.verify()
      #expect(before == [])
      try tamper(supervisor, inspection)
      let found = try inspection.verify().map(\.description)
      _ = try sandbox.end()
      return found
    }
    _ = try supervisor.stop()
    return found
  }

  @Test func `A process that has ended and waits for its parent is no difference`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      // cat(1) waits for no child.
      let asked = request(["sh", "-c", "sleep 0 & exec sh -c 'echo up; exec cat'"])
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      let inspection = try SupervisorControl(socket: supervisor.socket).inspect(asked.activationID)
      let isThere = try holds(within: .seconds(60)) {
        try directories(in: "/proc").contains { pid in
          let text = (try? readFile("/proc/\(pid)/cgroup")) ?? ""
          return text.contains("/a-\(asked.activationID)")
            && (try? readFile("/proc/\(pid)/stat"))?.contains(") Z ") == true
        }
      }
      #expect(isThere)
      #expect(try inspection.verify() == [])
      _ = try sandbox.end()
    }
    _ = try supervisor.stop()
  }

  @Test func `A way that somebody opened`() async throws {
    let found = try await tampered { supervisor, inspection in
      let interface = inspection.interface ?? 0
      let way = "bb\(interface - 100) . 198.18.1.1 . 198.18.0.1 . 22"
      try command([
        "nsenter", "--net=/proc/\(supervisor.pid)/ns/net", "nft", "add", "element", "inet", "botburrow", "allowed",
        "{ \(way) }",
      ])
    }
    #expect(found == ["nftables way to 198.18.0.1:22 from 198.18.1.1: expected closed, found open"])
  }

  @Test func `A way that somebody closed, and a rule that lets all pass`() async throws {
    let found = try await tampered { supervisor, _ in
      let enter = ["nsenter", "--net=/proc/\(supervisor.pid)/ns/net", "nft"]
      try command(enter + ["flush", "set", "inet", "botburrow", "allowed"])
      try command(enter + ["insert", "rule", "inet", "botburrow", "prerouting", "accept"])
      try command(enter + ["add", "table", "ip", "other"])
    }
    #expect(found.count == 3)
    #expect(found.first == "nftables rules: expected the 5 of table botburrow, found 6, other ones or in another order")
    #expect(found.contains("nftables table other: expected none, found it is there"))
    #expect(found.last?.hasPrefix("nftables way to 198.18.0.1:8081 from 198.18.1.") == true)
  }

  @Test func `A table that is out of force`() async throws {
    let found = try await tampered { supervisor, _ in
      try command([
        "nsenter", "--net=/proc/\(supervisor.pid)/ns/net", "nft", "add table inet botburrow { flags dormant; }",
      ])
    }
    #expect(found == ["nftables table botburrow: expected in force, policy drop, found open"])
  }

  @Test func `A process that somebody brought in`() async throws {
    let found = try await tampered { _, inspection in
      _ = try spawn(
        "/usr/bin/nsenter", ["nsenter", "-t", "\(inspection.pid)", "-p", "sleep", "30"],
        environment: ["PATH=/usr/bin"], descriptors: [])
      // nsenter's child, once it is what it will be.
      #expect(
        try holds(within: .seconds(5)) {
          try SandboxReading.read(inspection).processes.contains { $0.name == "sleep" }
        })
    }
    for part in [
      "(sleep): net namespace: ", "(sleep): CapEff: expected 0", "(sleep): seccomp: expected 2, found 0",
      "(sleep): no_new_privs: expected true, found false", "(sleep): user ids: expected 1",
      "(sleep): cgroup: expected ",
    ] { #expect(found.contains { $0.contains(part) }, "\(part): \(found)") }
    #expect(found.allSatisfy { $0.contains("(sleep)") })
  }

  @Test func `A process that left its cgroup`() async throws {
    let found = try await tampered { supervisor, inspection in
      let group = ControlGroup(path: inspection.groupPath ?? "")
      let pids = (group.value("cgroup.procs") ?? "").split(separator: "\n").compactMap { pid_t($0) }
      let agent = try #require(pids.first { $0 != inspection.pid })
      try supervisor.group.child("outside").create()
      try supervisor.group.child("outside").set("cgroup.procs", "\(agent)")
    }
    #expect(found.count == 1 && found[0].contains("(sh): cgroup: expected "), "\(found)")
  }

  @Test func `A mount that somebody made`() async throws {
    let found = try await tampered { _, inspection in
      try command([
        "nsenter", "-t", "\(inspection.pid)", "-m", "mount", "-t", "tmpfs", "none", "/usr/games",
      ])
    }
    #expect(
      found == [
        "mount /usr/games: expected read-only, found writable",
        "mount /usr/games: expected nosuid, found set-user-id programs count",
      ])
  }

  @Test(.enabled(if: !lacksMemory, "this host has no memory controller"))
  func `A limit that somebody changed`() async throws {
    let found = try await tampered { _, inspection in
      try ControlGroup(path: inspection.groupPath ?? "").set("memory.max", "max")
    }
    #expect(found.count == 1 && found[0].hasPrefix("cgroup memory.max: expected ") && found[0].hasSuffix("found max"))
  }

  @Test func `The command names the difference and its exit code tells of it`() async throws {
    let supervisor = try TestSupervisor()
    let asked = request(["sh", "-c", "echo up; read x"])
    let sandbox = try HeldSandbox(supervisor, asked)
    #expect(sandbox.line() == "up")
    let verify = ["receipt", "verify", asked.activationID, "--socket", supervisor.socket]
    let same = try await botburrow(verify)
    #expect(same.end == .exited(0) && same.output == "sandbox \(asked.activationID): as it should be\n")
    try command([
      "nsenter", "--net=/proc/\(supervisor.pid)/ns/net", "nft", "add", "table", "ip", "other",
    ])
    let differs = try await botburrow(verify)
    #expect(differs.end == .exited(1))
    #expect(differs.output == "nftables table other: expected none, found it is there\n")
    let json = try await botburrow(verify + ["--json"])
    #expect(json.end == .exited(1))
    let answer = try JSONValue(parsing: Array(json.output.utf8))
    #expect(answer["same"] == false && answer["differences"]?.array?.count == 1)
    let missing = try await botburrow([
      "receipt", "verify", "nobody", "--socket", supervisor.socket, "--receipts", supervisor.directory,
    ])
    #expect(missing.end == .exited(2), "\(missing.output)")
    let ordinary = try await botburrow(verify, user: "65534")
    #expect(ordinary.end != .exited(0) && ordinary.output.contains("needs root"), "\(ordinary.output)")
    // Once it is over there is only the receipt.
    let receipt = try sandbox.end()
    let file = "\(supervisor.directory)/\(asked.activationID).json"
    try Descriptor.open(file, O_WRONLY | O_CREAT).write(JSON.encode(receipt.json))
    let over = try await botburrow(verify + ["--receipts", supervisor.directory])
    #expect(over.end == .exited(0) && over.output == "receipt \(file): as it should be\n")
    let shown = try await botburrow(["receipt", "show", "--receipts", supervisor.directory])
    #expect(shown.end == .exited(0) && shown.output.hasPrefix("Activation \(asked.activationID)\n"))
    let whole = try await botburrow(["receipt", "show", file, "--json"])
    #expect(try JSONValue(parsing: Array(whole.output.utf8)) == receipt.json)
    _ = try supervisor.stop()
  }
}
