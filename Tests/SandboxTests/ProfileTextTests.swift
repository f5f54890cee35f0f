import Leftovers
import Linux
import Testing
import YAML

@testable import Sandbox

private let source = ProfileSource(directory: Repository.profiles)

private let parent = """
  description: the parent
  read_only:
    - /usr
  limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }
  syscalls:
    allow:
      - [read, write]
      - mount
    when:
      - { name: socket, argument: 0, one_of: [1] }
    errno: { clone3: ENOSYS }
  """
private let child = """
  description: the child
  extends: parent
  limits:
    pids: 16
  syscalls:
    allow: [openat]
  """
private let files = ProfileSource(files: ["parent.yaml": parent, "child.yaml": child])

@Suite("Profiles in words") struct ProfileTextTests {
  @Test(arguments: source.names())
  func `A resolved profile, saved and read again, is the same`(name: String) throws {
    var profile = try ProfileFile.load(name, from: source).profile
    let again = try ProfileFile.parse(Array(profile.yaml.utf8), file: "again.yaml", name: name).profile
    profile.parents = []
    #expect(again == profile)
  }

  @Test func `So is one with everything that can be said`() throws {
    let text = """
      description: "quotes \\" and: colons\\nand lines"
      root: { image: /srv/a b.squashfs }
      read_only: ["?/opt/x, y"]
      scratch: [{ path: "/a,b", size: 1M, inodes: 16 }]
      workspace: { path: /w, size: 8M }
      uid: 7
      gid: 8
      hostname: "null"
      network: none
      landlock: required
      cgroup: best-effort
      limits: { memory: 64M, memory_high: 32M, swap: 1M, cpus: 0.25, cpu_weight: 7, pids: 8, open_files: 16,
        file_size: 5, timeout: 1m500ms, io: { read_bps: 1M, write_iops: 5 } }
      environment: { A: "", B: "- x", C: "#y", D: "tab\\there", E: "ü" }
      syscalls:
        allow: [read]
        when:
          - { name: kill, argument: 1, none_of: [9], bits: 64 }
          - { name: clone, argument: 0, clear: 0x10000 }
        errno: { bpf: 4000, clone3: ENOSYS }
        denied: EACCES
        unknown: 77
      """
    let profile = try ProfileFile.parse(Array(text.utf8), file: "a.yaml", name: "a").profile
    #expect(try ProfileFile.parse(Array(profile.yaml.utf8), file: "a.yaml", name: "a").profile == profile)
  }

  @Test func `Each rule is explained with its place`() throws {
    let sections = ProfileExplanation.sections(try ProfileFile.load("child", from: files))
    #expect(sections.map(\.title) == ["Files", "Who it is", "Walls", "Limits", "System calls"])
    let lines = sections.flatMap(\.lines).map { "\($0.place) \($0.text)" }
    for line in [
      "parent.yaml:3 /usr of the host can be read and run, not written; a host without it makes no sandbox",
      "child.yaml:4 at most 16 processes and threads, PID 1 included",
      "parent.yaml:4 at most 64MiB of memory, files in memory included; beyond it all is killed",
      "child.yaml:6 may be called with any arguments: openat",
      "parent.yaml:7 may be called with any arguments: read, write",
      "parent.yaml:8 may be called with any arguments: mount",
      "parent.yaml:10 socket may be called where argument 0 (its low 32 bits) is 1",
      "parent.yaml:11 clone3, where it is denied, answers ENOSYS",
      "default every other call that is known answers EPERM",
      "default one link to 198.18.0.1, where only the ports answer that this activation was given",
    ] { #expect(lines.contains(line), "\(line)") }
  }

  @Test(arguments: source.names())
  func `No rule of a shipped profile is without a place, unless it is a default`(name: String) throws {
    let loaded = try ProfileFile.load(name, from: source)
    let defaults: Set = [
      "root", "workspace", "limits.memory_high", "limits.cpu_weight", "limits.io", "syscalls.denied",
      "syscalls.unknown",
    ]
    for statement in loaded.profile.statements where loaded.origins[statement.rule] == nil {
      #expect(defaults.contains(statement.rule.key), "\(statement)")
    }
    // And no origin is left over from a rule that a child took away.
    let rules = Set(loaded.profile.statements.map(\.rule))
    for rule in loaded.origins.keys where rule.key != "description" { #expect(rules.contains(rule), "\(rule)") }
  }

  @Test func `Differences are the rules that differ`() throws {
    let (first, second) = (
      try ProfileFile.load("parent", from: files).profile, try ProfileFile.load("child", from: files).profile
    )
    #expect(ProfileDifference.between(first, first).isEmpty)
    let differences = ProfileDifference.between(first, second)
    #expect(
      ProfileExplanation.lines(of: differences) == [
        "- limits.pids: 8", "+ limits.pids: 16", "+ syscalls.allow: openat",
      ])
    #expect(differences[0].json == ["key": "limits.pids", "first": "8", "second": "16"])
    #expect(
      ProfileExplanation.lines(of: ProfileDifference.between(second, first)) == [
        "- limits.pids: 16", "+ limits.pids: 8", "- syscalls.allow: openat",
      ])
  }

  @Test func `A check names what the host lacks and what is seldom meant`() throws {
    let check = ProfileCheck(try ProfileFile.load("child", from: files), exists: { _ in false }, landlock: nil)
    #expect(check.errors.first == "parent.yaml:3: /usr isn't on this host; create it, or write '?/usr'")
    #expect(
      check.errors.dropFirst().first
        == "'chdir' isn't allowed, which PID 1 of every sandbox needs: enters the program's directory")
    #expect(check.errors.count == 1 + InitCalls.ofInit.count - 2)
    #expect(
      check.warnings == [
        "parent.yaml:8: 'mount' is allowed, which is made for more than an agent's work",
        "/proc/kcore is neither masked nor read-only", "/proc/keys is neither masked nor read-only",
        "/proc/sysrq-trigger is neither masked nor read-only",
      ])
  }

  @Test(arguments: source.names()) func `Nothing is to be said of the shipped ones`(name: String) throws {
    let check = ProfileCheck(try ProfileFile.load(name, from: source), exists: { $0 == "/usr" }, landlock: nil)
    #expect(check.errors.isEmpty && check.warnings.isEmpty, "\(check)")
  }
}
