import Linux
import Sandbox
import Testing
import YAML

@testable import Learn

/// From recordings to profiles, by values.
@Suite struct LearnedProfileTests {
  static let base: Profile = {
    let calls = InitCalls.always.subtracting(["clone"]).union(["openat", "getpid", "mmap"]).sorted()
    let text = """
      description: for tests
      read_only: [/usr, "?/lib64", "?/etc/ssl"]
      scratch:
        - { path: /tmp, size: 1M }
        - { path: /workspace, size: 1M }
        - { path: /dev/shm, size: 1M }
      limits: { memory: 1G, cpus: 1, pids: 100, timeout: 60s }
      environment: { HOME: /workspace, TMPDIR: /tmp, PATH: /usr/bin }
      syscalls:
        allow: [\(calls.joined(separator: ", "))]
        when:
          - { name: clone, argument: 0, clear: 0x7e020000 }
          - { name: socket, argument: 0, one_of: [1, 2, 10] }
          - { name: ioctl, argument: 1, none_of: [0x5412] }
        errno: { clone3: ENOSYS }
      """
    do { return try ProfileFile.parse(Array(text.utf8), file: "base.yaml", name: "base").profile } catch {
      fatalError("\(error)")
    }
  }()
  static let surroundings = Surroundings(workspace: "/var/tmp/l/workspace", temporary: "/var/tmp/l/tmp")

  static func learn(_ keepsUnused: Bool = false, base: Profile = base, _ record: (inout Recording) -> Void)
    -> LearnedProfile
  {
    var recording = Recording()
    record(&recording)
    var options = LearnedProfile.Options()
    options.keepsUnused = keepsUnused
    return LearnedProfile.make(from: recording, base: base, surroundings: surroundings, options: options)
  }

  static func call(_ count: Int = 1, refused: Int = 0, passed: Set<UInt32> = [], failed: Set<UInt32> = [])
    -> Recording.Call
  {
    var call = Recording.Call(first: .init(program: "tool"))
    (call.count, call.refused, call.passed, call.failed) = (count, refused, passed, failed)
    return call
  }

  static func path(_ uses: PathUses, _ kind: FileEntry.Kind? = .file) -> Recording.Path {
    Recording.Path(uses: uses, kind: kind, first: .init(program: "tool", object: "x"))
  }

  @Test func callsAreAddedAndRemoved() {
    let learned = Self.learn {
      $0.calls = ["openat": Self.call(), "mlock": Self.call(), "clone": Self.call(passed: [17])]
    }
    #expect(learned.allow.map(\.value) == ["mlock"])
    #expect(learned.removedCalls == ["getpid", "ioctl", "mmap", "socket"])
    #expect(Self.learn(true) { _ in }.removedCalls == [])
  }

  @Test func whatInitNeedsStays() {
    let learned = Self.learn { _ in }
    #expect(Set(learned.removedCalls).isDisjoint(with: InitCalls.always))
    var base = Self.base
    base.syscalls.allowed.remove("ppoll")
    #expect(Self.learn(base: base) { _ in }.allow.map(\.value) == ["ppoll"])
  }

  @Test func conditionsStay() {
    let learned = Self.learn {
      $0.calls = [
        "socket": Self.call(refused: 1, passed: [1], failed: [16]), "ioctl": Self.call(passed: [0x5401]),
        "clone3": Self.call(0, refused: 3), "ptrace": Self.call(0, refused: 1),
      ]
    }
    // Never unconditional, and only with what was used.
    #expect(learned.allow == [])
    #expect(learned.when.map(\.name) == ["socket"])
    #expect(learned.when.map(\.condition.test) == [.oneOf([1])])
    // What was denied is told: the answer to clone3 is the base's own, and no news.
    #expect(learned.notes.count == 2)
    #expect(learned.notes.contains { $0.contains("ptrace") && $0.contains("no profile should allow") })
    #expect(learned.notes.contains { $0.contains("socket") && $0.contains("0x10") })
    #expect(Self.learn(true) { $0.calls["socket"] = Self.call(passed: [1]) }.when == [])
  }

  @Test func deniedCallsAreNotNeeded() {
    #expect(Self.learn { $0.calls["mlock"] = Self.call(0, refused: 4) }.allow == [])
  }

  @Test func pathsAreSorted() {
    let learned = Self.learn {
      $0.paths = [
        "/usr/bin/tool": Self.path(.executed), "/etc/tool.conf": Self.path(.read), "/etc/passwd": Self.path(.read),
        "/proc/self/exe": Self.path(.read, .other), "/dev/null": Self.path([.read, .written], .other),
        "/sys/kernel/x": Self.path(.read), "/etc": Self.path(.read, .directory), "/opt/asked": Self.path(.looked),
        "/var/tmp/l/workspace/a": Self.path([.read, .written]), "/var/tmp/l/tmp/b": Self.path(.written, nil),
        "/tmp/old": Self.path(.read), "/srv/tool/log/x": Self.path(.written, nil),
        "/usr/share/tool/cache": Self.path(.written, nil), "/etc/machine-id": Self.path(.read),
        "/etc/shadow": Recording.Path(uses: .read, kind: .file, first: .init(program: "tool"), isPublic: false),
        "/srv/new": Self.path(.written, nil),
      ]
      $0.links = ["/lib64": .init(program: "tool"), "/opt/link": .init(program: "tool")]
    }
    #expect(learned.readOnly.map(\.value) == ["/etc/tool.conf", "/opt/link"])
    #expect(learned.removedReadOnly == ["/etc/ssl"])
    #expect(learned.removedScratch == ["/dev/shm"])
    #expect(learned.scratch.map(\.value) == ["/srv/tool/log"])
    #expect(learned.lookedAt == ["/opt/asked"])
    for (path, word) in [
      ("/sys/kernel/x", "no sandbox shows"), ("/tmp/old", "empty inside"), ("/usr/share/tool/cache", "read-only"),
      ("/etc/machine-id", "which host"), ("/etc/shadow", "not everybody"), ("/etc", "only what the profile shows"),
      ("/srv/new", "write elsewhere"),
    ] {
      #expect(learned.notes.contains { $0.contains(path) && $0.contains(word) }, "\(path)")
    }
  }

  @Test func networksFollowTheUse() {
    let address = Recording.Endpoint(address: "10.0.0.1", port: 443)
    #expect(Self.learn { _ in }.network?.value == Profile.Network.none)
    #expect(Self.learn { $0.connections[address] = .init(program: "tool") }.network == nil)
    var base = Self.base
    base.network = .none
    #expect(Self.learn(base: base) { $0.connections[address] = .init(program: "tool") }.network?.value == .gateway)
    #expect(
      Self.learn { $0.connections[.init(address: "/run/x", port: nil)] = .init(program: "tool") }.network?.value
        == Profile.Network.none)
  }

  @Test func theFileReadsAsIntended() throws {
    let learned = Self.learn {
      $0.calls = ["socket": Self.call(passed: [2]), "mlock": Self.call(), "clone": Self.call(passed: [17])]
      $0.paths = [
        "/srv/a b\"c\n- /etc": Self.path(.read), "/srv/tool/log/x": Self.path(.written, nil),
        "/opt/x: y": Self.path(.read),
      ]
      $0.connections = [.init(address: "127.0.0.1", port: 80): .init(program: "tool")]
    }
    let text = learned.text(.init(command: ["tool", "a\nb", "it's"], end: .exited(0)))
    #expect(text.split(separator: "\n").allSatisfy { $0.utf8.count <= 120 || $0.hasPrefix("description") }, "\(text)")
    let root = try YAML.parse(Array(text.utf8), file: "learned.yaml")
    #expect(root["extends"]?.text == "base")
    #expect(root["read_only"]?.elements?.map(\.text) == ["/opt/x: y", "/srv/a b\"c\n- /etc"])
    #expect(root["scratch"]?.elements?.first?["path"]?.text == "/srv/tool/log")
    #expect(root["syscalls"]?["allow"]?.elements?.map(\.text) == ["mlock"])
    #expect(root["syscalls"]?["when"]?.elements?.first?["one_of"]?.elements?.map(\.text) == ["2"])
    #expect(root["remove"]?["syscalls"]?.elements?.map(\.text) == learned.removedCalls)
    #expect(root["network"] == nil)
  }

  @Test func jsonHasTheSame() {
    let learned = Self.learn { $0.calls = ["mlock": Self.call()] }
    let json = learned.json(.init(command: ["tool"], end: .signaled(9)), name: "mine")
    #expect(json["allow"]?.array?.first?["value"] == "mlock")
    #expect(json["network"] == "none")
    #expect(json["recorded"] == "was ended by signal 9")
    #expect(json["remove"]?["syscalls"]?.array?.count == learned.removedCalls.count)
  }

  @Test func whatTheRecordingAnswers() {
    let policy = RecordingPolicy(base: Self.base.syscalls)
    func verdict(_ name: String, _ first: UInt64 = 0, _ second: UInt64 = 0) -> RecordingPolicy.Verdict {
      policy.verdict(name, [first, second, 0, 0, 0, 0])
    }
    #expect(verdict("openat") == .carryOn)
    #expect(verdict("mlock") == .carryOn)
    #expect(verdict("socket", 2) == .carryOn)
    #expect(verdict("socket", 16) == .refuse(1))
    // As the kernel reads an int: the upper half is nothing.
    #expect(verdict("socket", 0x1_0000_0002) == .carryOn)
    #expect(verdict("ioctl", 0, 0x1_0000_5412) == .refuse(1))
    #expect(verdict("clone", 0x1000_0011) == .refuse(1))
    #expect(verdict("clone3") == .refuse(38))
    #expect(verdict("io_uring_setup") == .refuse(1))
    #expect(policy.name(100_000) == nil)
    let strict = RecordingPolicy(base: Self.base.syscalls, admitsOthers: false)
    #expect(strict.verdict("mlock", [0, 0, 0, 0, 0, 0]) == .refuse(1))
  }

  @Test func theDefaultProfileAllowsNothingThatNoneShould() throws {
    let path = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/profiles/default.yaml"
    let bytes = try Descriptor.open(path).readAll(limit: 1 << 20)
    let policy = try ProfileFile.parse(bytes, file: path, name: "default").profile.syscalls
    #expect(RecordingPolicy.neverAdded.intersection(policy.allowed) == [])
    #expect(RecordingPolicy.neverAdded.filter { !SeccompPolicy.isKnownAnywhere($0) } == [])
    #expect(InitCalls.always.subtracting(policy.allowed).subtracting(policy.conditional.keys) == [])
    #expect(Set(PathArgument.ofCall.keys).filter { !SeccompPolicy.isKnownAnywhere($0) } == [])
  }

  @Test func callsOfASandboxCount() {
    var recording = Recording()
    recording.calls = ["socket": Self.call(passed: [1])]
    var inside = Recording()
    inside.calls = ["socket": Self.call(passed: [2]), "getpid": Self.call(), "ptrace": Self.call(0, refused: 1)]
    recording.merge(callsOf: inside)
    #expect(recording.calls["socket"]?.passed == [1, 2])
    #expect(recording.calls["getpid"]?.first.object == "in the sandbox")
    #expect(recording.calls["ptrace"] == nil)
  }

  @Test func theGatewayHasTwoAddresses() {
    let command = Command(["curl", "http://{gateway}:1/{gateway}", "{gate"], environment: ["URL": "x{gateway}"])
    let outside = command.order(base: Self.base, surroundings: Self.surroundings)
    #expect(outside.arguments == ["curl", "http://127.0.0.1:1/127.0.0.1", "{gate"])
    #expect(outside.environment["HOME"] == "/var/tmp/l/workspace")
    #expect(outside.environment["TMPDIR"] == "/var/tmp/l/tmp")
    let inside = command.insideOrder(base: Self.base)
    #expect(inside.environment["URL"] == "x198.18.0.1")
    #expect(inside.environment["HOME"] == "/workspace")
    #expect(inside.uid == nil)
  }
}
