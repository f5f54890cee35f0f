#if DEBUG
  import CLinux
  import Glibc
  import JSON
  import Leftovers
  import Linux
  import Testing

  @testable import Sandbox

  private let isRoot = geteuid() == 0

  /// Every step fails once, by its name.
  @Suite(
    "Faults", .enabled(if: isRoot, "needs root"), .serialized)
  struct FaultTests {
    private static let start: [FaultPoint] = [
      .sealInit, .holdUserBlock, .leaveNetwork, .leaveMounts, .serveGateway, .installFilter, .makeGroupTree,
      .makeLifeline,
      .giveUpPowers, .startLaunchers,
    ]
    /// Refused before there is anything to receive a receipt for.
    private static let refused: [FaultPoint] = [.identifyPeer, .receiveRequest, .makeCancellation, .readProfile]
    /// Told to the journal, and done by trying again; the program has run.
    private static let cured: [FaultPoint] = [
      .accept, .answer, .startLauncher, .endInit, .emptyGroup, .removeGroup, .closeWays, .closeWorkspace,
    ]

    @Test func `Lines of the variable are read`() {
      #expect(
        FaultState.parse("# what\nENOSPC@3 open ways\n5 mount proc on /proc (a,b=c)\n\nstop *\nnonsense\nEWHAT x") == [
          .init(effect: .fail(ENOSPC), turn: 3, name: "open ways"),
          .init(effect: .fail(5), turn: nil, name: "mount proc on /proc (a,b=c)"),
          .init(effect: .stop, turn: nil, name: "*"),
        ])
    }

    @Test func `Each step that fails is named, leaves nothing, and the next sandbox is made`() async throws {
      try await Thread.run {
        let ground = try FaultGround()
        try ground.faults.set("tell *")
        let supervisor = try ground.startSupervisor()
        // Long enough for its signal to come.
        let first = try ground.run(supervisor, arguments: ["sleep", "0.2"])
        #expect(first.exit == .exited(code: 0))
        try ground.faults.set()
        let names = supervisor.log.split(separator: "\n").filter { $0.hasPrefix("fault point: ") }.map {
          // The kind of an operation stands behind it.
          String($0.dropFirst(13).split(separator: "\t")[0])
        }
        let known = FaultPoint.allCases.map(\.rawValue) + LaunchStep.all.map { LiveSandbox.step($0.rawValue) }
        #expect(known.filter { !names.contains($0) } == [], "these are never passed")
        #expect(names.count > known.count + 80)

        let watched = try ground.watch(supervisor)
        #expect(try ground.run(supervisor).exit == .exited(code: 0))
        let before = try watched.count()
        let begin = try #require(names.firstIndex(of: FaultPoint.layOutRoot.rawValue))
        let end = try #require(names.firstIndex(of: FaultPoint.leaveOldRoot.rawValue))
        let ofProfile = Set(names[begin...end] + [FaultPoint.readProfile.rawValue])
        for name in names where !Self.start.contains(where: { $0.rawValue == name }) {
          if ofProfile.contains(name) { try reload(supervisor) }
          try fail(name, ground, supervisor)
          try ground.faults.set()
          let left = try watched.remains(beyond: before)
          #expect(left == [], "after '\(name)'")
          let next = try ground.run(supervisor)
          #expect(next.exit == .exited(code: 0), "after '\(name)'")
          // The last that is given back is the first that is taken.
          #expect(next.json["host_uid"] == first.json["host_uid"], "after '\(name)'")
        }
        #expect(try supervisor.stop() == .exited(0))
      }
    }

    private func fail(_ name: String, _ ground: FaultGround, _ supervisor: TestSupervisor) throws {
      let point = FaultPoint(rawValue: name)
      if let point, Self.cured.contains(point) {
        try ground.faults.set("\(FaultGround.error)@1 \(name)")
        if point == .startLauncher, let launcher = try supervisor.launchers.first { kill(launcher, SIGKILL) }
        #expect(try ground.run(supervisor).exit == .exited(code: 0), "with '\(name)'")
        #expect(
          holds(within: .seconds(2)) { supervisor.log.contains("\(name): \(FaultGround.error)") },
          "the log doesn't tell of '\(name)'")
        return
      }
      try ground.faults.set("\(FaultGround.error) \(name)")
      if let point, Self.refused.contains(point) {
        let refusal = #expect(throws: SandboxRefused.self, "with '\(name)'") { try ground.run(supervisor) }
        #expect(refusal?.description.contains("\(name): \(FaultGround.error)") == true)
        return
      }
      let workspace = point == .makeImage ? "another" : "agent"
      let arguments = point == .relay ? ["sleep", "9"] : ["sleep", "0"]
      let exit = try ground.run(supervisor, workspace: workspace, arguments: arguments).exit
      guard case .setupFailed(let operation, let object, let reason) = exit else {
        Issue.record("with '\(name)' it ended so: \(exit)")
        return
      }
      let said = object.isEmpty ? operation : "\(operation) \(object)"
      // The store's errors keep the step in their reason.
      #expect(said.hasPrefix(name.prefix(150)) || reason.hasPrefix(name), "with '\(name)': \(exit)")
      #expect(reason.contains(FaultGround.error), "with '\(name)': \(exit)")
    }

    private func reload(_ supervisor: TestSupervisor) throws {
      func count() -> Int { supervisor.log.components(of: "profiles are read anew") }
      let before = count()
      kill(supervisor.pid, SIGHUP)
      #expect(holds(within: .seconds(5)) { count() > before })
    }

    @Test func `A supervisor whose start fails says at which step, and leaves nothing`() async throws {
      try await Thread.run {
        let ground = try FaultGround()
        for point in Self.start {
          try ground.faults.set("\(FaultGround.error) \(point.rawValue)")
          let (errors, stderr) = try makePipe()
          let null = try Descriptor.open("/dev/null", O_RDWR)
          let pid = try spawn(
            Repository.botburrow,
            [
              "botburrow", "supervisor", "--socket", ground.directory + "/s", "--profiles", Repository.profiles,
              "--workspaces", ground.directory + "/workspaces",
            ], environment: ["PATH=/usr/bin:/bin", "BOTBURROW_FAULTS=\(ground.faults.path)"],
            descriptors: [null, null, stderr])
          let process = try ProcessHandle(child: pid)
          stderr.close()
          let text = String(decoding: try errors.readAll(limit: 1 << 20), as: UTF8.self)
          #expect(try process.wait() != .exited(0), "with '\(point.rawValue)'")
          #expect(text.contains("\(point.rawValue): \(FaultGround.error)"), "\(text)")
          #expect(access(try ControlGroup.current().child("botburrow-\(pid)").path, F_OK) == -1)
        }
      }
    }

    @Test func `A supervisor that is killed at any step leaves nothing a second after the next one's start`()
      async throws
    {
      try await Thread.run {
        let ground = try FaultGround()
        var supervisor = try ground.startSupervisor()
        for point in FaultPoint.allCases where !Self.start.contains(point) && point != .startLauncher {
          if point != .makeImage { #expect(try ground.run(supervisor).exit == .exited(code: 0)) }
          if point == .layOutRoot || point == .readProfile || point == .openRoot || point == .unshareRoot
            || point == .leaveOldRoot
          {
            try reload(supervisor)
          }
          let watched = try ground.watch(supervisor)
          let launchers = try supervisor.launchers.map { Descriptor(owning: cl_pidfd_open($0)) }
          try ground.faults.set("kill \(point.rawValue)")
          #expect(throws: (any Error).self, "with '\(point.rawValue)'") {
            try ground.run(supervisor, workspace: point == .makeImage ? "third" : "agent", arguments: ["sleep", "1"])
          }
          try ground.faults.set()
          let dead = supervisor
          supervisor = try ground.startSupervisor()
          let isClean = try holds(within: .seconds(1)) {
            try access(watched.group.path, F_OK) == -1 && watched.links() == 0
              && waitReadable(launchers, timeout: .zero).allSatisfy { $0 }
              && Watched.loops(below: ground.directory) == 0
          }
          #expect(isClean, "after '\(point.rawValue)'")
          let images = try files(in: ground.directory + "/workspaces")
          #expect(images.allSatisfy { $0.hasSuffix(".ext4") }, "after '\(point.rawValue)': \(images)")
          #expect(try dead.stop() != nil)
        }
        #expect(try ground.run(supervisor).exit == .exited(code: 0))
        #expect(try supervisor.stop() == .exited(0))
      }
    }
  }

  extension String {
    fileprivate func components(of text: String) -> Int {
      var count = 0
      var rest = self[...]
      while let range = rest.firstRange(of: text) {
        count += 1
        rest = rest[range.upperBound...]
      }
      return count
    }
  }
#endif
