import CPlan
import Glibc
import Leftovers
import Linux
import Testing

@testable import Sandbox

private func defaultProfile() throws -> Profile {
  try ProfileFile.parse(
    try Descriptor.open(Repository.profiles + "/default.yaml").readAll(limit: 1 << 20), file: "default.yaml",
    name: "default"
  ).profile
}

/// A host that is the same everywhere: a merged /usr, no 32-bit libraries.
private func debian(_ path: String) -> RootPlan.PathKind? {
  switch path {
  case "/usr", "/etc/alternatives", "/etc/ssl/certs", "/etc/ca-certificates": .directory
  case "/bin", "/sbin", "/lib", "/lib64": .symlink(target: "usr" + path)
  case "/etc/localtime": .symlink(target: "/usr/share/zoneinfo/Etc/UTC")
  case "/etc/ld.so.cache", "/etc/mime.types": .file
  default: nil
  }
}

/// A kernel that has what Debian 12's has.
private func ground(of profile: Profile, filter: [UInt8] = []) -> Plan.Ground {
  Plan.Ground(
    filter: filter,
    covered: profile.masked.map { $0 == "/proc/acpi" ? .maskedDirectory($0) : .maskedFile($0) }
      + profile.readOnlyProc.map { .readOnly($0) },
    landlock: LandlockPolicy.make(profile: profile, version: 2))
}

private let request = SandboxRequest(
  activationID: "golden", profile: "default", arguments: ["agent", "--once"], environment: ["MODEL": "m"],
  listeners: [.init(name: "hub", port: 8080)], files: [.init(path: "prompt.md"), .init(path: "skills/a.md")],
  limits: .init(pids: 64))

@Suite("Plans") struct PlanTests {
  @Test func `The default profile's plan is the one on file`() throws {
    let profile = try defaultProfile()
    let plan = Plan.make(profile: profile, request: request, ground: ground(of: profile))
    let root = RootPlan.make(profile: profile, present: debian).map(\.description)
    let handed = plan.handed.enumerated().map { "# descriptor \($0): \($1)" }
    let text =
      (["# The profile's root, laid out once"] + root + ["# An activation"] + handed + plan.inside.map(\.description))
      .joined(separator: "\n") + "\n"
    let path = Repository.root + "/Tests/SandboxTests/Golden/default.plan"
    if getenv("BOTBURROW_WRITE_GOLDEN") != nil {
      try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
    }
    let golden = try readFile(path)
    #expect(text == golden, "if the new plan is meant, write it with BOTBURROW_WRITE_GOLDEN=1 and review it")
  }

  @Test func `Walls stand in the order that the kernel needs`() throws {
    let plan = Plan.make(
      profile: try defaultProfile(), request: request, ground: ground(of: try defaultProfile(), filter: [1]))
    let names = plan.inside.map(\.name)
    let order = [
      "unshare", "mount proc", "write", "mask file", "make read-only", "drop bounding set", "set securebits",
      "set no_new_privs", "set parent death signal", "drop capabilities", "restrict by Landlock", "close descriptors",
      "install seccomp filter", "report ready", "run",
    ]
    let places = order.compactMap { names.lastIndex(of: $0) }
    #expect(places.count == order.count)
    #expect(places == places.sorted())
    // The agent's ids after the bounding set and before the death signal, which a change of ids clears.
    let identity = try #require(names.lastIndex(of: "set identity"))
    #expect(identity > places[7] && identity < places[8])
    #expect(plan.inside.last.map(\.name) == "run")
  }

  @Test func `The program's variables are the profile's and the request's, nothing else`() throws {
    let plan = Plan.make(
      profile: try defaultProfile(), request: request, ground: ground(of: try defaultProfile()))
    guard case .run(let program)? = plan.inside.last else {
      Issue.record("the last operation is not 'run'")
      return
    }
    #expect(
      program.environment == [
        "HOME=/workspace", "LANG=C.UTF-8", "MODEL=m", "PATH=/usr/local/bin:/usr/bin:/bin", "TERM=dumb", "TMPDIR=/tmp",
      ])
    #expect(program.candidates == ["/usr/local/bin/agent", "/usr/bin/agent", "/bin/agent"])
    #expect(program.workingDirectory == "/workspace")
  }

  @Test func `A long PATH times a long name doesn't fill the supervisor's memory`() throws {
    var hostile = request
    hostile.environment["PATH"] = String(repeating: "a:", count: 30_000)
    hostile.arguments = [String(repeating: "x", count: 60_000)]
    let plan = Plan.make(
      profile: try defaultProfile(), request: hostile, ground: ground(of: try defaultProfile()))
    #expect(PlanEncoder.encode(plan.inside).count < 1 << 20)
  }

  @Test func `A required path that the host lacks is opened all the same, and fails there by name`() throws {
    let root = RootPlan.make(profile: try defaultProfile(), present: { _ in nil })
    #expect(root.contains(.tree(from: "/usr", at: "/usr")))
    #expect(!root.contains(.tree(from: "/bin", at: "/bin")))
  }
}

/// Reads what botburrow-init reads, by the offsets of CPlan.h.
private struct Decoded {
  struct Operation {
    var code: UInt32
    var arguments: [UInt64]
    var path: String?
    var text: String?
    var data: [UInt8]
  }
  let header: plan_header
  var operations: [Operation] = []

  init(_ bytes: [UInt8]) {
    header = bytes.withUnsafeBytes { $0.loadUnaligned(as: plan_header.self) }
    var cursor = MemoryLayout<plan_header>.size
    for _ in 0..<header.operations {
      let start = cursor
      let operation = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: plan_operation.self) }
      #expect(start % 8 == 0 && operation.data % 8 == 0 && operation.length >= 56)
      operations.append(
        Operation(
          code: operation.code,
          arguments: [operation.argument.0, operation.argument.1, operation.argument.2, operation.argument.3],
          path: Self.text(bytes, start, operation.path), text: Self.text(bytes, start, operation.text),
          data: Array(bytes[(start + Int(operation.data))...].prefix(Int(operation.data_length)))))
      cursor += (Int(operation.length) + 7) & ~7
    }
    #expect(cursor == bytes.count)
  }

  static func text(_ bytes: [UInt8], _ start: Int, _ offset: UInt32) -> String? {
    offset == 0 ? nil : String(decoding: bytes[(start + Int(offset))...].prefix { $0 != 0 }, as: UTF8.self)
  }
}

@Suite("Encoded plans") struct PlanEncoderTests {
  @Test func `Every operation comes back as it went in`() throws {
    let program = InsideOperation.Program(
      candidates: ["/bin/x", "/usr/bin/x"], arguments: ["x", "", "ü"], environment: ["A=1"], workingDirectory: "/w")
    let landlock = LandlockPolicy(
      version: 1, handledFiles: 7, handledNetwork: 0, scoped: 0,
      rules: [.init(path: "/", access: 4), .init(path: "/tmp", access: 6)])
    let bytes = PlanEncoder.encode(
      [
        .setIdentity(uid: 1000, gid: 1001), .hostname("h"),
        .mount(type: "tmpfs", at: "/tmp/ü", flags: [.noSetuid, .noDevices], options: "size=1m"),
        .attach(descriptor: 3, at: "/usr"), .makeDirectory("/d", mode: 0o755), .maskFile("/proc/keys"),
        .copyFile(descriptor: 4, to: "/g", mode: 0o400),
        .limit(.processes, 64), .landlock(landlock), .seccomp([1, 2, 3, 4, 5, 6, 7, 8]), .run(program),
      ])
    let plan = Decoded(bytes)
    #expect(plan.header.magic == PLAN_MAGIC && plan.header.version == PLAN_VERSION)
    #expect(Int(plan.header.length) == bytes.count)
    let operations = plan.operations
    #expect(
      operations.map(\.code)
        == [
          PLAN_SET_IDENTITY, PLAN_HOSTNAME, PLAN_MOUNT, PLAN_ATTACH_TREE, PLAN_MAKE_DIRECTORY, PLAN_MASK_FILE,
          PLAN_COPY_FILE, PLAN_RESOURCE_LIMIT, PLAN_LANDLOCK, PLAN_SECCOMP, PLAN_RUN,
        ].map(\.rawValue))
    #expect(operations[0].arguments == [1000, 1001, 0, 0])
    #expect(operations[1].text == "h" && operations[1].path == nil)
    #expect(operations[2].path == "/tmp/ü" && operations[2].text == "tmpfs" && operations[2].arguments[0] == 6)
    #expect(operations[2].data == Array("size=1m\0".utf8))
    #expect(operations[3].arguments[0] == 18 && operations[3].path == "/usr")
    #expect(operations[4].path == "/d" && operations[4].arguments[0] == 0o755)
    #expect(operations[5].path == "/proc/keys")
    #expect(operations[6].arguments[..<2] == [0o400, 19])
    #expect(operations[7].arguments == [6, 64, 64, 0])
    let walls = operations[8].data
    let header = walls.withUnsafeBytes { $0.loadUnaligned(as: plan_landlock.self) }
    #expect(header.handled_files == 7 && header.rules == 2 && header.attribute_size == 8)
    let second = walls.withUnsafeBytes {
      $0.loadUnaligned(
        fromByteOffset: MemoryLayout<plan_landlock>.size + MemoryLayout<plan_landlock_rule>.size,
        as: plan_landlock_rule.self)
    }
    #expect(second.access == 6 && Decoded.text(walls, 0, second.path) == "/tmp")
    #expect(operations[9].data == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(operations[10].path == "/w")
    let data = operations[10].data
    let tables = data.withUnsafeBytes { $0.loadUnaligned(as: plan_run.self) }
    func table(_ offset: UInt32) -> [String] {
      var texts: [String] = []
      var place = Int(offset)
      while true {
        let at = place
        let text = data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
        if text == 0 { return texts }
        texts.append(Decoded.text(data, 0, UInt32(text)) ?? "")
        place += 8
      }
    }
    #expect(table(tables.candidates) == program.candidates)
    #expect(table(tables.arguments) == program.arguments)
    #expect(table(tables.environment) == program.environment)
  }

  @Test func `Numbers of descriptors are the header's`() {
    let plan = Decoded(PlanEncoder.encode([.closeDescriptors(from: 5)]))
    #expect(plan.operations[0].arguments[0] == 5)
    #expect(LAUNCH_FD_HANDED.rawValue == 15)
  }
}
