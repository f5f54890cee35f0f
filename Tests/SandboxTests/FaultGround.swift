#if DEBUG
  import Glibc
  import JSON
  import Leftovers
  import Linux
  import Synchronization

  @testable import Sandbox

  /// A place in which supervisors are made to fail: profiles, a store of workspaces, and the file that names the faults.
  final class FaultGround: Sendable {
    let directory: String
    let faults: FaultFile
    private let counter = Atomic<Int>(0)
    /// No step gives it by itself.
    static let error = "ENOTUNIQ"

    init() throws {
      directory = "/tmp/botburrow-faults-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      try check(mkdir(directory, 0o755), "mkdir", directory)
      for path in ["/root", "/root/opt", "/root/etc"] { try check(mkdir(directory + path, 0o755), "mkdir", path) }
      faults = try FaultFile(at: directory + "/faults")
    }
    deinit { try? removeTree(directory) }

    private var profiles: [String: String] {
      [
        "default": (try? readFile(Repository.profiles + "/default.yaml")) ?? "",
        "faults": """
        description: One of everything
        extends: default
        root: { directory: \(directory)/root }
        workspace: { path: /work, size: 8M }

        """,
      ]
    }

    /// No pool: what it makes ahead of time would fail at another moment.
    func startSupervisor() throws -> TestSupervisor {
      try TestSupervisor(
        ["--cgroup", "best-effort", "--pool", "0", "--workspaces", directory + "/workspaces"],
        environment: ["BOTBURROW_FAULTS=\(faults.path)"], profiles: profiles)
    }

    func watch(_ supervisor: TestSupervisor) throws -> Watched {
      try Watched(pid: supervisor.pid, in: .current(), directory: directory)
    }

    /// A sandbox that has one of everything, so that no step is left out.
    func run(
      _ supervisor: TestSupervisor, workspace: String = "agent", arguments: [String] = ["sleep", "0"]
    ) throws -> Receipt {
      let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
      let null = try Descriptor.open("/dev/null", O_RDWR)
      let connection = try SandboxConnection.open(supervisor.socket)
      var request = SandboxRequest(
        activationID: "fault-\(number)", profile: "faults", arguments: arguments,
        listeners: [.init(name: "hub", port: 8080)], files: [.init(path: "note")])
      request.workspace = workspace
      request.hasSecrets = true
      try connection.spawn(request, streams: [null, null, null], files: [[1]], secrets: ["TOKEN": "x"])
      // Who has refused by now reads no signal.
      try? connection.signal(SIGCONT)
      while true { if case .ended(let receipt) = try connection.next() { return receipt } }
    }
  }
#endif
