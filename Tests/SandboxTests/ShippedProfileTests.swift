import Glibc
import Leftovers
import TestSupport
import Testing

@testable import Linux
@testable import Sandbox

private let source = ProfileSource(directory: Repository.profiles)
private let shipped = [
  "aider", "claude-code", "codex", "default", "goose", "native", "opencode", "sidecar", "strict",
]

@Suite("Shipped profiles") struct ShippedProfileTests {
  @Test func `There are exactly these`() { #expect(source.names() == shipped) }

  @Test(arguments: shipped)
  func `Each is read and compiled, and keeps the walls that every one must have`(name: String) throws {
    let profile = try ProfileFile.load(name, from: source).profile
    #expect(!profile.description.isEmpty)
    #expect(profile.parents == (["default", "strict"].contains(name) ? [] : ["default"]))
    #expect(profile.controlGroup == .required && profile.landlock == .bestEffort && profile.root == .scratch)
    #expect(profile.uid != 0 && profile.limits.swap == 0)
    // Of the host's /etc only what any program may read.
    let etc = profile.readOnly.map(\.path).filter { $0.hasPrefix("/etc") }
    #expect(
      Set(etc).isSubset(of: [
        "/etc/alternatives", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
        "/etc/ssl/certs",
      ]))
    let program = SeccompProgram(try profile.syscalls.compile())
    for call in OCISeccomp.neverAllowed.union(["mount", "unshare", "setns", "pivot_root", "clone3", "init_module"]) {
      guard let number = SeccompPolicy.number(of: call) else { continue }
      #expect(try program.run(number: UInt32(number), arguments: [0, 0, 0, 0, 0, 0]) != .allow, "\(call)")
    }
  }

  /// The kernel translates it anew for every sandbox.
  @Test(arguments: ["default", "sidecar", "strict"])  // The others have the default's.
  func `Its short filter says of every call what the long one says`(name: String) throws {
    let policy = try ProfileFile.load(name, from: source).profile.syscalls
    let (long, short) = (try policy.written(), try policy.compile())
    #expect(short.count * 3 < long.count * 2, "\(short.count / 8) instructions of \(long.count / 8)")
    let (before, after) = (SeccompProgram(long), SeccompProgram(short))
    // Each value that the program compares with or masks by, and its neighbours, in each half of each argument.
    var words: Set<UInt32> = [0, 1, 0x8000_0000, .max]
    for start in stride(from: 4, to: long.count, by: 8) {
      let constant = long[start..<start + 4].withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
      words.formUnion([constant, constant &+ 1, constant &- 1])
    }
    let looked = policy.conditional.mapValues(\.argument).merging(["setrlimit": 0, "prlimit64": 1]) { own, _ in own }
    for (name, argument) in looked {
      let number = UInt32(try #require(SeccompPolicy.number(of: name)))
      for word in words {
        for value in [UInt64(word), UInt64(word) << 32, UInt64(word) << 32 | 4] {
          for rest in [0, 4] as [UInt64] {
            var arguments = [UInt64](repeating: rest, count: 6)
            arguments[Int(argument)] = value
            #expect(
              try before.run(number: number, arguments: arguments)
                == after.run(number: number, arguments: arguments), "\(name), argument \(argument): \(value)")
          }
        }
      }
    }
    for number in words.union(0...700) {
      let arguments = [UInt64](repeating: 0, count: 6)
      #expect(
        try before.run(number: number, arguments: arguments) == after.run(number: number, arguments: arguments),
        "call \(number)")
    }
  }

  @Test func `Whatever extends the default profile allows no call that it doesn't`() throws {
    let base = try ProfileFile.load("default", from: source).profile.syscalls
    for name in shipped where name != "strict" {
      let policy = try ProfileFile.load(name, from: source).profile.syscalls
      #expect(policy.allowed.isSubset(of: base.allowed), "\(name)")
      #expect(policy.conditional == base.conditional, "\(name)")
    }
  }

  @Test func `The strict profile is small`() throws {
    let (strict, base) = (
      try ProfileFile.load("strict", from: source).profile, try ProfileFile.load("default", from: source).profile
    )
    #expect(strict.network == .none)
    #expect(strict.limits.pids <= 16 && strict.limits.memory <= 64 << 20 && strict.limits.timeout <= .seconds(30))
    #expect(strict.scratch.reduce(0) { $0 + $1.size } <= 4 << 20)
    #expect(strict.syscalls.allowed.isSubset(of: base.syscalls.allowed))
    #expect(strict.syscalls.allowed.count + strict.syscalls.conditional.count < 140)
    #expect(Set(base.masked).isSubset(of: strict.masked))
    // No new limit, whichever half of its address is set; reading is allowed.
    let program = SeccompProgram(try strict.syscalls.compile())
    let prlimit = UInt32(try #require(SeccompPolicy.number(of: "prlimit64")))
    for pointer in [1, 1 << 32, 1 << 63] as [UInt64] {
      #expect(try program.run(number: prlimit, arguments: [0, 7, pointer, 0, 0, 0]) == .errno(EPERM))
    }
    #expect(try program.run(number: prlimit, arguments: [0, 7, 0, 1, 0, 0]) == .allow)
  }

  @Test(.enabled(if: geteuid() == 0, "a supervisor must be root"))
  func `Ordinary commands run in each of them`() async throws {
    let supervisor = try TestSupervisor()
    for name in shipped {
      for (command, output) in [
        (["/bin/true"], ""), (["id", "-u"], "1000\n"),
        (["sh", "-c", "echo one two | while read a b; do echo $b; done; ls / | grep -c usr"], "two\n1\n"),
      ] {
        var wanted = request(command)
        wanted.profile = name
        let result = try await supervisor.launcher.run(
          wanted, files: [], input: [], outputLimit: 1 << 16, serve: { _ in })
        #expect(result.receipt.exit == .exited(code: 0), "\(name): \(command)")
        #expect(String(decoding: result.output, as: UTF8.self) == output, "\(name): \(command)")
      }
    }
  }

  @Test(.enabled(if: geteuid() == 0, "a supervisor must be root"))
  func `Nothing can be opened to the strict profile, which has no network`() async throws {
    let supervisor = try TestSupervisor()
    var wanted = request(["/bin/true"], listeners: [.init(name: "hub", port: 8080)])
    wanted.profile = "strict"
    let error = await #expect(throws: SandboxRefused.self) {
      try await supervisor.launcher.run(wanted, files: [], input: [], outputLimit: 1 << 16, serve: { _ in })
    }
    #expect(error?.description == "profile 'strict' has no network, so there can't be listeners")
  }
}
