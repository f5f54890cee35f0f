import Glibc
import JSON
import Linux
import Sandbox
import TestSupport
import Testing
import YAML

@testable import Learn

/// `botburrow profile learn` on real programs.
@Suite(.serialized) struct LearnTests {
  private func with(_ body: (Tool) async throws -> Void) async throws {
    let tool = try Tool()
    do { try await body(tool) } catch {
      try tool.remove()
      throw error
    }
    try tool.remove()
  }

  /// The learned file, kept beside copies of the project's profiles.
  private func keep(_ text: String, in tool: Tool) throws -> YAMLNode {
    try tool.copyProfiles()
    try tool.write("profiles/learned.yaml", text)
    return try YAML.parse(Array(text.utf8), file: "learned.yaml")
  }

  @Test(.enabled(if: Tool.isRoot, "sandboxes need root")) func initsCallsAreEnoughForTheSmallestProgram() async throws {
    try await with { tool in
      try tool.write(
        "smallest.c",
        """
        #include <sys/syscall.h>
        static long call(long n, long a, long b, long c) {
        #if defined(__x86_64__)
          long r;
          __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
          return r;
        #else
          register long x8 __asm__("x8") = n;
          register long x0 __asm__("x0") = a;
          register long x1 __asm__("x1") = b;
          register long x2 __asm__("x2") = c;
          __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
          return x0;
        #endif
        }
        void _start(void) {
          call(SYS_write, 1, (long)"hello\\n", 6);
          // The control: a call that the profile hasn't got.
          call(SYS_exit_group, call(SYS_getpid, 0, 0, 0) == -1 ? 42 : 1, 0, 0);
        }
        """)
      let program = "\(tool.folder)/smallest"
      let compiled = try tool.run(["/usr/bin/cc", "-O1", "-static", "-nostdlib", "-o", program, program + ".c"])
      try #require(compiled.isGood, "\(compiled.errors)")
      mkdir("\(tool.folder)/profiles", 0o755)
      try tool.write(
        "profiles/smallest.yaml",
        """
        description: what botburrow-init needs, and no more
        read_only: [\(program)]
        limits: { memory: 64M, cpus: 1, pids: 10, timeout: 20s }
        syscalls: { allow: [\(InitCalls.always.sorted().joined(separator: ", "))] }
        """)
      let result = try tool.sandbox("smallest", [program])
      #expect(result.output == "hello\n", "\(result.errors)")
      #expect(result.end == .exited(42))
    }
  }

  @Test(.enabled(if: Tool.isRoot, "sandboxes need root")) func gitClone() async throws {
    try await with { tool in
      let repository = "\(tool.folder)/project"
      let script = """
        set -e; git init -q \(repository); cd \(repository)
        for n in 1 2 3 4 5 6; do echo $n > file$n; done
        git add .; git -c user.name=t -c user.email=t@example.org commit -qm first
        """
      let made = try tool.run(["/bin/sh", "-c", script])
      try #require(made.isGood, "\(made.errors)")
      // Its owner has no number inside, which git finds dubious.
      let command = [
        "/bin/sh", "-c",
        "git config --global safe.directory '*' && git clone --no-local \(repository) copy && cat copy/file6",
      ]
      let learned = try tool.learn(["--verify"], command)
      try #require(learned.isGood, "\(learned.errors)")
      let profile = try keep(learned.output, in: tool)
      #expect(profile["read_only"]?.elements?.map(\.text).contains("\(repository)/.git") == true, "\(learned.output)")
      #expect(profile["network"]?.text == "none")
      #expect(profile["syscalls"]?["allow"] == nil)
      let removed = Set(profile["remove"]?["syscalls"]?.elements?.compactMap(\.text) ?? [])
      #expect(removed.isSuperset(of: ["listen", "accept4", "mlock", "shmget"]))
      #expect(removed.isDisjoint(with: ["openat", "clone", "execve"]))
      // Once more, through the front door.
      let again = try tool.sandbox("learned", command)
      #expect(again.isGood, "\(again.errors)")
      #expect(again.output == "6\n")
      // The control: what was taken away is gone.
      let other = try tool.sandbox("learned", ["/usr/bin/python3", "-c", "import socket; socket.socket()"])
      #expect(!other.isGood)
    }
  }

  @Test(.enabled(if: Tool.isRoot, "sandboxes need root")) func httpClient() async throws {
    try await with { tool in
      let server = try LocalServer(answer: "it works")
      defer { server.stop() }
      let script = """
        import http.client, sys
        connection = http.client.HTTPConnection("{gateway}", \(server.port), timeout=10)
        connection.request("GET", "/")
        body = connection.getresponse().read()
        sys.exit(0 if body == b"it works" else 1)
        """
      let learned = try tool.learn(["--verify"], ["/usr/bin/python3", "-c", script])
      try #require(learned.isGood, "\(learned.errors)")
      #expect(learned.output.contains("connected to 127.0.0.1:\(server.port)"))
      let profile = try keep(learned.output, in: tool)
      #expect(profile["network"] == nil)
      let socket = profile["syscalls"]?["when"]?.elements?.first { $0["name"]?.text == "socket" }
      #expect(socket?["one_of"]?.elements?.map(\.text) == ["2"], "\(learned.output)")
      // Recorded, and twice in a sandbox of each round.
      #expect(server.count >= 3)
    }
  }

  @Test(.enabled(if: Tool.isRoot, "sandboxes need root")) func whatOnlyHappensInside() async throws {
    try await with { tool in
      // A call that is made in the sandbox only, and only where another is denied.
      let script = """
        import os, socket, sys
        if os.getcwd() == "/workspace": os.getpgid(0)
        """
      let learned = try tool.learn(["--verify", "--json"], ["/usr/bin/python3", "-c", script])
      try #require(learned.isGood, "\(learned.errors)")
      let json = try JSONValue(parsing: Array(learned.output.utf8))
      #expect(json["remove"]?["syscalls"]?.array?.contains("getpgid") == false)
      #expect(json["remove"]?["syscalls"]?.array?.contains("getsid") == true)
      // A file that is only asked for: nothing says that it matters, until the command ends differently.
      try tool.write("flag", "")
      let asked = try tool.learn(["--verify"], ["/usr/bin/test", "-f", "\(tool.folder)/flag"])
      #expect(asked.isGood, "\(asked.errors)")
      #expect(asked.output.contains("\n  - \(tool.folder)/flag\n"), "\(asked.output)")
      #expect(asked.output.contains("in round 2"))
    }
  }

  @Test(.enabled(if: Tool.isRoot, "sandboxes need root")) func whatCanNotBeVerified() async throws {
    try await with { tool in
      let learned = try tool.learn(["--verify"], ["/usr/bin/test", "-d", "/sys/kernel"])
      #expect(learned.end == .exited(1))
      #expect(learned.errors.contains("NOT verified: in a sandbox of it the command ended differently: exited 1"))
      // The profile is printed all the same, and says so.
      #expect(learned.output.contains("NOT verified"))
    }
  }

  @Test func anOrdinaryUserLearnsToo() async throws {
    try await with { tool in
      try #require(chmod(tool.folder, 0o777) == 0)
      let nobody =
        Tool.isRoot ? ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"] : []
      let learned = try tool.run(
        nobody + [Tool.botburrow, "profile", "learn", "--profiles", Tool.profiles, "--", "/bin/cat", "/etc/passwd"])
      #expect(learned.isGood, "\(learned.errors)")
      #expect(learned.output.contains("extends: default"))
      #expect(learned.errors.contains("root:"))
    }
  }

  @Test func threadsAndForks() async throws {
    try await with { tool in
      let script = """
        import os, subprocess, sys, threading, time
        def work(n):
            for i in range(50): os.stat("/usr"); open("/etc/hostname").close()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for t in threads: t.start()
        for n in range(8): subprocess.run(["/bin/true"], check=True)
        for t in threads: t.join()
        # A daemon that would outlive it.
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 3)
            if os.fork() == 0: time.sleep(600)
            os._exit(0)
        os.wait()
        os.kill(os.getpid(), 15)
        """
      let learned = try tool.learn(["--json"], ["/usr/bin/python3", "-c", script])
      try #require(learned.isGood, "\(learned.errors)")
      let json = try JSONValue(parsing: Array(learned.output.utf8))
      #expect(json["recorded"] == "was ended by signal 15")
      #expect(json["remove"]?["syscalls"]?.array?.contains("setsid") == false)
      #expect(learned.errors.contains("ended by signal 15"))
    }
  }

  @Test func whatCanNotBeRun() async throws {
    try await with { tool in
      let missing = try tool.learn([], ["/no/such/program"])
      #expect(missing.end == .exited(125))
      #expect(missing.errors.contains("exec /no/such/program: ENOENT"), "\(missing.errors)")
      let base = try tool.learn(["--base", "nowhere"], ["/bin/true"])
      #expect(base.end == .exited(125))
      #expect(base.errors.contains("nowhere"), "\(base.errors)")
      #expect(try tool.learn(["--name", "default"], ["/bin/true"]).errors.contains("choose another --name"))
      #expect(try tool.learn([], []).errors.contains("Missing expected argument"))
      #expect(try tool.learn(["--name", "A b"], ["/bin/true"]).errors.contains("small letters"))
    }
  }

  @Test func whatTheBaseDeniesIsDenied() async throws {
    try await with { tool in
      // unshare(2) of a user namespace, and a netlink socket.
      let script = """
        import ctypes, socket, sys
        denied = ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == -1 and ctypes.get_errno() == 1
        try:
            socket.socket(socket.AF_NETLINK)
            sys.exit(2)
        except PermissionError: pass
        sys.exit(0 if denied else 1)
        """
      let learned = try tool.learn([], ["/usr/bin/python3", "-c", script])
      #expect(learned.isGood)
      #expect(!learned.errors.contains("while it was recorded"), "\(learned.errors)")
      #expect(learned.output.contains("# Note: unshare"), "\(learned.output)")
      #expect(learned.output.contains("# Note: socket with argument 0 = 0x10"))
    }
  }
}
