import Glibc
import JSON
import Linux
import Testing

extension Acceptance {
  /// `botburrow sandbox run` at the terminal: with a running supervisor, and without one.
  @Suite(.serialized) struct SandboxRunTests {
    enum Way: String, CaseIterable, Sendable { case runningSupervisor, ownSupervisor }

    /// A supervisor, or a socket path where none is.
    private func with(_ way: Way, _ body: (Terminal) async throws -> Void) async throws {
      let folder = try Folder()
      defer { folder.remove() }
      let terminal = Terminal(folder: folder)
      guard way == .runningSupervisor else { return try await body(terminal) }
      let supervisor = try await Program.start(
        "supervisor",
        [
          Product.botburrow, "supervisor", "--socket", terminal.socket, "--profiles", Product.profiles, "--cgroup",
          "best-effort",
        ], in: folder.path)
      try await until("the supervisor's start", within: .seconds(20)) {
        !supervisor.logged("supervisor started").isEmpty
      }
      try await body(terminal)
      #expect(try await supervisor.terminate() == .exited(0))
      #expect(access(terminal.socket, F_OK) != 0)
    }

    struct Terminal {
      let folder: Folder
      var socket: String { "\(folder.path)/supervisor.sock" }

      func start(_ options: [String], _ command: [String], input: String = "") async throws -> Program {
        try await Program.start(
          "run",
          [
            Product.botburrow, "sandbox", "run", "--profile", "default", "--socket", socket, "--profiles",
            Product.profiles, "--cgroup", "best-effort",
          ] + options + ["--"] + command, in: folder.path, input: input)
      }

      func run(_ options: [String], _ command: [String], input: String = "") async throws -> Program {
        let program = try await start(options, command, input: input)
        _ = try await program.ended(within: .seconds(20))
        return program
      }
    }

    @Test(arguments: Way.allCases) func streamsAndExitCodes(_ way: Way) async throws {
      try await with(way) { terminal in
        let program = try await terminal.run(
          [],
          ["/bin/sh", "-c", "read line; echo \"out: $line\"; echo \"err: $line\" >&2; exit 42"], input: "hello\n")
        #expect(program.output == "out: hello\n")
        #expect(program.errors == "err: hello\n")
        #expect(try await program.ended(within: .zero) == .exited(42))
        for (script, code) in [
          ("true", Int32(0)), ("exit 1", 1), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9),
        ] {
          let program = try await terminal.run([], ["/bin/sh", "-c", script])
          #expect(try await program.ended(within: .zero) == .exited(code), "\(script): \(program.errors)")
        }
        let slow = try await terminal.run(["--timeout", "0.3"], ["/bin/sleep", "60"])
        #expect(try await slow.ended(within: .zero) == .exited(124))
        #expect(slow.errors == "botburrow: the command was ended at its timeout\n")
        let missing = try await terminal.run([], ["/no/such/program"])
        #expect(try await missing.ended(within: .zero) == .exited(125))
        #expect(
          missing.errors == "botburrow: setup failed at run /no/such/program: ENOENT (No such file or directory)\n")
      }
    }

    @Test(arguments: Way.allCases) func ctrlC(_ way: Way) async throws {
      try await with(way) { terminal in
        let mark = "61.\(UInt32.random(in: 1000...999_999))"
        let program = try await terminal.start([], ["/bin/sleep", mark])
        let inside = try await eventually("the command", within: .seconds(10)) {
          Processes.naming("/bin/sleep \(mark)").first { Processes.commandLine($0).hasPrefix("/bin/sleep") }
        }
        try program.signal(SIGINT)
        #expect(try await program.ended(within: .seconds(5)) == .exited(130))
        try await until("the command's end", within: .seconds(1)) { !Processes.lives(inside) }
        // A command that handles the signal decides itself.
        let handler = try await terminal.start(
          [],
          ["/bin/sh", "-c", "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"])
        try await until("ready", within: .seconds(10)) { handler.output == "ready\n" }
        try handler.signal(SIGINT)
        #expect(try await handler.ended(within: .seconds(5)) == .exited(7))
        #expect(handler.output == "ready\ncaught\n")
      }
    }

    /// Nobody waits for the sandbox of somebody who is gone.
    @Test(arguments: Way.allCases) func whoAsksAndDiesTakesItsSandboxAlong(_ way: Way) async throws {
      try await with(way) { terminal in
        let mark = "62.\(UInt32.random(in: 1000...999_999))"
        let program = try await terminal.start([], ["/bin/sleep", mark])
        let inside = try await eventually("the command", within: .seconds(10)) {
          Processes.naming("/bin/sleep \(mark)").first { Processes.commandLine($0).hasPrefix("/bin/sleep") }
        }
        // Its own supervisor, where it has one; the sandbox is that one's.
        let family = Processes.descendants(of: program.pid)
        #expect(family.isEmpty == (way == .runningSupervisor))
        try await program.kill9()
        try await until("the command's end", within: .seconds(1)) { !Processes.lives(inside) }
        try await until("its supervisor's end", within: .seconds(2)) { !family.contains(where: Processes.lives) }
        let groups = family.flatMap { Up.groups("/sys/fs/cgroup", named: "botburrow-\($0)", depth: 4) }
        #expect(groups == [])
      }
    }

    @Test(arguments: Way.allCases) func receipt(_ way: Way) async throws {
      try await with(way) { terminal in
        let file = "\(terminal.folder.path)/receipt.json"
        let program = try await terminal.run(["--receipt", file, "--env", "GREETING=hi there"], ["/usr/bin/env"])
        #expect(program.output.contains("GREETING=hi there\n"))
        #expect(!program.output.contains("setpriv"))
        let receipt = try JSONValue(parsing: Array(try readFile(file).utf8))
        #expect(receipt["exit"] == ["cause": "exited", "code": 0])
        #expect(receipt["seccomp_mode"]?.integer == 2)
        #expect(receipt["profile"]?.string == "default")
      }
    }
  }
}
