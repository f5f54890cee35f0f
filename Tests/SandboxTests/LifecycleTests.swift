import CLinux
import Glibc
import JSON
import Leftovers
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0
private let lacksControllers =
  (try? ControlGroup.current().controllers().isSuperset(of: ["memory", "cpu", "pids"])) != true

/// Links of a network namespace but loopback.
private func links(in namespace: Descriptor) throws -> [String] {
  let (output, stdout) = try makePipe()
  let process = try ProcessHandle(
    child: try spawn(
      "/usr/bin/nsenter", ["nsenter", "--net=/proc/self/fd/3", "/usr/sbin/ip", "-br", "link"],
      descriptors: [nil, stdout, Descriptor.borrowed(2), namespace]))
  stdout.close()
  let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
  #expect(try process.wait() == .exited(0))
  return text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }.filter {
    $0 != "lo"
  }
}

/// How a supervisor begins, ends and dies, and what is left then.
@Suite("A supervisor's life", .enabled(if: isRoot, "needs root"), .serialized) struct LifecycleTests {
  /// Where the host builds roots must not hide what a profile shows.
  @Test func `A path below the host's /tmp is found`() async throws {
    let directory = "/tmp/botburrow-shown-\(getpid())"
    try #require(mkdir(directory, 0o755) == 0)
    defer { rmdir(directory) }
    let supervisor = try TestSupervisor(
      profiles: ["default": try TestProfile.text(readOnly: ["/usr", "/bin", "/lib", "/lib64", directory])])
    // The sandbox's own /tmp covers it afterwards; that it was found is what counts.
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    // Control: one that isn't there is an error.
    let other = try TestSupervisor(
      profiles: ["default": try TestProfile.text(readOnly: ["/usr", "/bin", "/lib", "/lib64", directory + "-not"])])
    if case .exited = try await other.run(["true"]).receipt.exit { Issue.record("a path that isn't there was shown") }
  }

  @Test(.enabled(if: lacksControllers, "this host has every controller"))
  func `Limits that can't be enforced are refused unless somebody accepted that`() async throws {
    let supervisor = try TestSupervisor([])
    let group = try ControlGroup.current()
    let has = try group.controllers().intersection(["memory", "cpu", "pids", "io"]).sorted()
    let error = await #expect(throws: SandboxRefused.self) { try await supervisor.run(["true"]) }
    let reasons = [("memory", "memory"), ("cpus", "cpu"), ("pids", "pids")].filter { !has.contains($0.1) }.map {
      "\($0): the cgroup controller '\($1)' is not available"
        + " (\(group.path) has the controllers [\(has.joined(separator: " "))])"
    }
    #expect(
      error?.description
        == "profile 'default' requires limits that this host can't enforce: \(reasons.joined(separator: "; ")). "
        + "Give the supervisor a delegated cgroup v2 group (systemd: Delegate=yes), or accept it with "
        + "'cgroup: best-effort' in the profile or --cgroup best-effort.")
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `Killed outright, it takes its sandboxes and their network with it`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let sandbox = try HeldSandbox(supervisor, request(["sh", "-c", "echo up; sleep 60 & sleep 60"]))
      #expect(sandbox.line() == "up")
      let first = try #require(try supervisor.sandboxes.first)
      let handle = Descriptor(owning: cl_pidfd_open(first))
      let inside = try Descriptor.open("/proc/\(first)/ns/net")
      // Held open, so that there is somewhere to look afterwards.
      let gateway = try Descriptor.open("/proc/\(supervisor.pid)/ns/net")
      #expect(try links(in: inside).count == 1)
      #expect(try !links(in: gateway).isEmpty)
      let group = try supervisor.group
      #expect(access(group.path, F_OK) == 0)

      kill(supervisor.pid, SIGKILL)
      let died = ContinuousClock.now
      #expect(try waitReadable([handle], timeout: .seconds(1)) == [true])
      #expect(try sandbox.outputEnds(within: .seconds(1)))
      #expect(throws: SandboxRefused.self) { try sandbox.receipt() }
      inside.close()
      #expect(try holds(within: .seconds(1)) { try links(in: gateway).isEmpty })
      #expect(ContinuousClock.now - died < .seconds(2))

      // What a process can't take with it goes at the next start.
      let next = try TestSupervisor()
      #expect(holds(within: .seconds(1)) { access(group.path, F_OK) == -1 })
      #expect(try next.stop() == .exited(0))
      #expect(try supervisor.stop() != nil)
    }
  }

  @Test func `Told to end, it ends its sandboxes and leaves nothing`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let sandboxes = try (0..<4).map { _ in
        try HeldSandbox(supervisor, request(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]))
      }
      for sandbox in sandboxes { #expect(sandbox.line() == "up") }
      let handles = try supervisor.sandboxes.map { Descriptor(owning: cl_pidfd_open($0)) }
      #expect(handles.count == 4)
      let group = try supervisor.group
      kill(supervisor.pid, SIGTERM)
      for sandbox in sandboxes { #expect(try sandbox.receipt().exit == .cancelled) }
      for handle in handles { #expect(try waitReadable([handle], timeout: .seconds(1)) == [true]) }
      #expect(holds(within: .seconds(2)) { access("/proc/\(supervisor.pid)", F_OK) == -1 || isZombie(supervisor.pid) })
      #expect(access(group.path, F_OK) == -1)
      #expect(access(supervisor.socket, F_OK) == -1)
    }
    #expect(supervisor.log == "" || !supervisor.log.contains("trouble"))
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `Many at once, many in a row, and nothing stays`() async throws {
    let supervisor = try TestSupervisor()
    func used() throws -> [Int] {
      [
        try entries("/proc/\(supervisor.pid)/fd"), try directories(in: "/proc/\(supervisor.pid)/task").count,
        try directories(in: supervisor.group.path).count, try supervisor.sandboxes.count,
      ]
    }
    _ = try await supervisor.run(["true"])
    usleep(200_000)
    let before = try used()
    // Fifty at the same time: each waits until all are up.
    let held = try await Thread.run {
      let held = try (0..<50).map { _ in try HeldSandbox(supervisor, request(["sh", "-c", "echo up; read x; exit 9"])) }
      for sandbox in held { #expect(sandbox.line() == "up") }
      return held
    }
    #expect(try supervisor.sandboxes.count == 50)
    try await Thread.run {
      for sandbox in held { try sandbox.input.write(Array("x\n".utf8)) }
      for sandbox in held { #expect(try sandbox.receipt().exit == .exited(code: 9)) }
    }
    // And 200 more, eight at a time, some of which fail at different steps.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<8 {
        group.addTask {
          for turn in 0..<25 {
            switch (lane + turn) % 4 {
            case 0: #expect(try await supervisor.run(["nothing"]).receipt.exit.shellCode == 125)
            case 1:
              let result = try await supervisor.run(["sleep", "9"], limits: .init(timeoutSeconds: 0.02))
              #expect(result.receipt.exit == .timeout)
            default: #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
            }
          }
        }
      }
      try await group.waitForAll()
    }
    // The pool refills and the last threads end a little later.
    let settled = try holds(within: .seconds(10)) { try zip(used(), before).allSatisfy { $0 <= $1 } }
    let after = try used()
    #expect(settled, "before: \(before) (descriptors, threads, groups, processes), after: \(after)")
    #expect(try supervisor.stop() == .exited(0))
  }

  private func entries(_ path: String) throws -> Int {
    guard let stream = opendir(path) else { throw LinuxError.last("opendir", path) }
    defer { closedir(stream) }
    var count = 0
    while readdir(stream) != nil { count += 1 }
    return count
  }

  private func isZombie(_ pid: pid_t) -> Bool {
    ((try? readFile("/proc/\(pid)/stat")) ?? "").split(separator: ")").last?.hasPrefix(" Z") ?? true
  }
}

/// `botburrow sandbox run` without a supervisor.
@Suite("botburrow sandbox run", .enabled(if: isRoot, "needs root")) struct SandboxRunTests {
  /// Runs it to its end; `during` gets its pid once it has said its first line.
  private func run(
    _ arguments: [String], user: String? = nil, during: (@Sendable (pid_t) -> Void)? = nil
  ) async throws -> (end: ProcessEnd?, output: String) {
    try await Thread.run {
      let (output, stdout) = try makePipe()
      let program: [String] =
        (user.map { ["/usr/bin/setpriv", "--reuid", $0, "--regid", $0, "--clear-groups"] } ?? [])
        + [Repository.botburrow, "sandbox", "run", "--profiles", Repository.profiles, "--socket", "/nonexistent"]
        + arguments
      let null = try Descriptor.open("/dev/null")
      let process = try ProcessHandle(
        child: try spawn(
          program[0], program, environment: ["PATH=/usr/bin:/bin"],
          descriptors: [null, stdout, stdout], ownGroup: true))
      stdout.close()
      if let during {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while read(output.number, &byte, 1) == 1, byte != 10 { text.append(byte) }
        during(process.pid)
        return (try process.wait(), String(decoding: text, as: UTF8.self))
      }
      let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
      return (try process.wait(), text)
    }
  }

  @Test func `It starts a supervisor of its own and passes the exit code on`() async throws {
    let result = try await run(["--cgroup", "best-effort", "--", "sh", "-c", "id -u; exit 7"])
    #expect(result.end == .exited(7))
    #expect(result.output == "1000\n")
    let signaled = try await run(["--cgroup", "best-effort", "--", "sh", "-c", "kill -9 $$"])
    #expect(signaled.end == .exited(137))
  }

  @Test func `Interrupted, it ends with 130`() async throws {
    let result = try await run(
      ["--cgroup", "best-effort", "--", "sh", "-c", "echo up; exec sleep 60"], during: { kill($0, SIGINT) })
    #expect(result.output == "up")
    #expect(result.end == .exited(130))
  }

  @Test func `A terminal's interrupt reaches the whole group, and still the program may answer it`() async throws {
    let script = "exec 2>/dev/null; trap 'exit 3' INT; echo up; while :; do sleep 0.02; done"
    let result = try await run(
      ["--cgroup", "best-effort", "--", "sh", "-c", script], during: { kill(-$0, SIGINT) })
    #expect(result.end == .exited(3))
  }

  @Test func `A command that isn't there`() async throws {
    let result = try await run(["--cgroup", "best-effort", "--", "no-such-command"])
    #expect(result.end == .exited(125))
    #expect(
      result.output == "botburrow: setup failed at run no-such-command: ENOENT (No such file or directory)\n")
  }

  @Test func `An ordinary user is told what to do`() async throws {
    let result = try await run(["--", "true"], user: "65534")
    #expect(result.end == .exited(125))
    #expect(
      result.output == "botburrow: no supervisor serves /run/botburrow/supervisor.sock, and starting one needs root; "
        + "run as root or start 'botburrow supervisor'\n")
  }
}
