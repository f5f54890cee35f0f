import Glibc
import JSON
import Linux
import TestSupport
import Testing
import YAML

@testable import Sandbox

private let amd64 = OCISeccompFile.Host(architecture: "amd64", kernel: (6, 1))

private func parse(_ text: String, host: OCISeccompFile.Host = amd64) throws(JSONError) -> OCISeccomp {
  try OCISeccompFile.parse(Array(text.utf8), host: host)
}

/// A file whose rules are `syscalls`.
private func file(_ syscalls: String, action: String = "SCMP_ACT_ERRNO") -> String {
  #"{"defaultAction": "\#(action)", "syscalls": [\#(syscalls)]}"#
}

/// The program that a policy of these rules becomes.
private func program(_ syscalls: String, action: String = "SCMP_ACT_ERRNO") throws -> SeccompProgram {
  var policy = SeccompPolicy(allowed: [])
  policy.oci = try parse(file(syscalls, action: action))
  return SeccompProgram(try policy.compile())
}

private func number(_ name: String) -> UInt32 { UInt32(bitPattern: SeccompPolicy.known[name] ?? -1) }

extension SeccompProgram {
  /// The answer to a call by name; arguments that aren't given are 0.
  fileprivate func answer(_ name: String, _ arguments: UInt64...) throws -> SeccompAnswer {
    try run(number: number(name), arguments: arguments + [UInt64](repeating: 0, count: 6 - arguments.count))
  }
}

@Suite("Docker and OCI seccomp files") struct OCISeccompTests {
  @Test func `Actions are told apart, and rules with the default action change nothing`() throws {
    let program = try program(
      """
      {"names": ["read", "nosuchcall", "write"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["open"], "action": "SCMP_ACT_ERRNO"},
      {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
      {"names": ["chmod"], "action": "SCMP_ACT_TRAP"},
      {"names": ["chown"], "action": "SCMP_ACT_LOG"},
      {"names": ["fork"], "action": "SCMP_ACT_KILL"},
      {"name": "vfork", "action": "SCMP_ACT_KILL_PROCESS"}
      """)
    #expect(try program.answer("read") == .allow)
    #expect(try program.answer("write") == .allow)
    #expect(try program.answer("open") == .errno(EPERM))
    #expect(try program.answer("close") == .errno(EPERM))
    #expect(try program.answer("clone3") == .errno(ENOSYS))
    #expect(try program.answer("chmod") == .trap)
    #expect(try program.answer("chown") == .log)
    #expect(try program.answer("fork") == .kill)
    #expect(try program.answer("vfork") == .kill)
  }

  @Test func `The default action has its errno; without rules it is the answer to all`() throws {
    let text = #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "syscalls": []}"#
    var policy = SeccompPolicy(allowed: [])
    policy.oci = try parse(text)
    let program = SeccompProgram(try policy.compile())
    #expect(try program.answer("read") == .errno(EACCES))
    #expect(try program.run(number: 9999, arguments: [0, 0, 0, 0, 0, 0]) == .errno(EACCES))
  }

  @Test func `Calls newer than the newest that is named answer ENOSYS, unless they would pass`() throws {
    // statx is 332, newer than all else here.
    let denying = try program(#"{"names": ["read", "statx"], "action": "SCMP_ACT_ALLOW"}"#)
    let none = [UInt64](repeating: 0, count: 6)
    #expect(try denying.run(number: number("statx") + 1, arguments: none) == .errno(ENOSYS))
    #expect(try denying.run(number: number("statx") - 1, arguments: none) == .errno(EPERM))
    let allowing = try program(
      #"{"names": ["statx"], "action": "SCMP_ACT_ERRNO"}"#, action: "SCMP_ACT_ALLOW")
    #expect(try allowing.run(number: number("statx") + 1, arguments: none) == .allow)
    #expect(try allowing.answer("statx") == .errno(EPERM))
    #if arch(x86_64)
      #expect(try denying.run(number: 0x4000_0000 | number("read"), arguments: none) == .errno(EPERM))
      #expect(try denying.run(number: number("read"), arguments: none, architecture: 0x4000_0003) == .errno(EPERM))
    #endif
  }

  @Test func `Comparisons are of 64 bits; those of several arguments must all hold`() throws {
    let program = try program(
      """
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
      {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [
        {"index": 0, "value": 5, "op": "SCMP_CMP_GT"}, {"index": 1, "value": 9, "op": "SCMP_CMP_NE"}]}
      """)
    for value in [0, 8] as [UInt64] { #expect(try program.answer("personality", value) == .allow) }
    for value in [1, 9, 1 << 32, 1 << 32 | 8] as [UInt64] {
      #expect(try program.answer("personality", value) == .errno(EPERM))
    }
    #expect(try program.answer("clone", 17) == .allow)
    #expect(try program.answer("clone", 1 << 40 | 17) == .allow)
    #expect(try program.answer("clone", 0x1000_0000) == .errno(EPERM))
    #expect(try program.answer("kill", 6, 15) == .allow)
    #expect(try program.answer("kill", 1 << 32, 15) == .allow)
    #expect(try program.answer("kill", 5, 15) == .errno(EPERM))
    #expect(try program.answer("kill", 6, 9) == .errno(EPERM))
  }

  @Test func `Two comparisons of one argument are two rules`() throws {
    let program = try program(
      """
      {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [
        {"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 15, "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]}
      """)
    // Each of the three is enough by itself, as runc has it.
    for (pid, signal) in [(1, 0), (1, 15), (7, 9)] as [(UInt64, UInt64)] {
      #expect(try program.answer("kill", pid, signal) == .allow)
    }
    #expect(try program.answer("kill", 1, 9) == .errno(EPERM))
  }

  @Test(
    arguments: [
      (#""includes": {"arches": ["amd64", "x32"]}"#, true), (#""includes": {"arches": ["arm64"]}"#, false),
      (#""excludes": {"arches": ["amd64"]}"#, false), (#""excludes": {"arches": ["s390"]}"#, true),
      (#""includes": {"minKernel": "4.8"}"#, true), (#""includes": {"minKernel": "6.1"}"#, true),
      (#""includes": {"minKernel": "6.2"}"#, false), (#""excludes": {"minKernel": "4.8"}"#, false),
      (#""excludes": {"minKernel": "6.2"}"#, true),
      // A sandbox has no capability.
      (#""includes": {"caps": ["CAP_SYS_ADMIN"]}"#, false), (#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#, true),
      (#""includes": {}, "excludes": {}, "args": null"#, true), (#""includes": null"#, true),
    ] as [(String, Bool)])
  func `What a rule depends on`(condition: String, applies: Bool) throws {
    let rules = try parse(file(#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", \#(condition)}"#)).rules
    #expect(rules.count == (applies ? 1 : 0))
  }

  @Test func `The floor holds whatever the file says`() throws {
    let program = try program("", action: "SCMP_ACT_ALLOW")
    for name in OCISeccomp.neverAllowed { #expect(try program.answer(name) == .errno(EPERM)) }
    #expect(try program.answer("read") == .allow)
    #expect(try program.answer("socket", 2) == .allow)
    // AF_ALG and AF_VSOCK, of which the kernel reads 32 bits.
    for family in [38, 40, 1 << 32 | 40] as [UInt64] { #expect(try program.answer("socket", family) == .errno(EPERM)) }
    for request in [0x5412, 0x541c, 1 << 32 | 0x5412] as [UInt64] {
      #expect(try program.answer("ioctl", 0, request) == .errno(EPERM))
    }
    #expect(try program.answer("ioctl", 0, 0x5401) == .allow)
    #expect(try program.answer("setrlimit", 4, 4096) == .errno(0))
    #expect(try program.answer("setrlimit", 7, 4096) == .allow)
    #expect(try program.answer("prlimit64", 0, 4, 0) == .allow)
    for pointer in [1, 1 << 32, 1 << 63] as [UInt64] {
      #expect(try program.answer("prlimit64", 0, 4, pointer) == .errno(0))
      #expect(try program.answer("prlimit64", 0, 7, pointer) == .allow)
    }
  }

  @Test(
    arguments: [
      ("[]", "the file is not an object"), (#"{"syscalls": []}"#, "'defaultAction' is missing"),
      (#"{"defaultAction": "SCMP_ACT_NO"}"#, "'defaultAction' is not an action such as SCMP_ACT_ALLOW"),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}"#,
        "'flags' asks for SECCOMP_FILTER_FLAG_SPEC_ALLOW, which can't be had here; take it out"
      ),
      (
        file(#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#),
        "'syscalls[0].action' is SCMP_ACT_NOTIFY: there is nobody here to ask; use SCMP_ACT_ERRNO"
      ),
      (
        file(#"{"names": ["read"], "name": "write", "action": "SCMP_ACT_ALLOW"}"#),
        "'syscalls[0]' has 'name' and 'names'; use one of them"
      ),
      (
        file(
          #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#),
        "'syscalls[0].args[0].index' is not a number between 0 and 5"
      ),
      (
        file(
          #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}"#),
        "'syscalls[0].args[0].value' is not a whole number between 0 and 9223372036854775807"
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{}]}"#,
        "'architectures' and 'archMap' can't both be there"
      ),
    ] as [(String, String)])
  func `What is wrong is said exactly`(text: String, expected: String) {
    let error = #expect(throws: JSONError.self) { try parse(text) }
    #expect(error?.description == expected)
  }

  private static let base = """
    description: base
    limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }
    syscalls: { oci: docker.json }
    """

  private func load(
    _ name: String, _ files: [String: String],
    docker: String = #"{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}"#
  ) throws(ProfileError) -> ProfileFile.Loaded {
    var files = files
    files["base.yaml"] = Self.base
    files["docker.json"] = file(docker)
    return try ProfileFile.load(name, from: ProfileSource(files: files))
  }

  @Test func `A profile takes its rules from such a file`() throws {
    let loaded = try load("base", [:])
    #expect(loaded.files == ["base.yaml", "docker.json"])
    #expect(loaded.profile.syscalls.oci?.rules.count == 1)
    let other = try load("base", [:], docker: #"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}"#)
    #expect(other.digest != loaded.digest)
  }

  @Test func `A child can take calls away from such a file, and add none`() throws {
    let child = try load("c", ["c.yaml": "description: c\nextends: base\nremove: { syscalls: [write] }\n"])
    let program = SeccompProgram(try child.profile.syscalls.compile())
    #expect(try program.answer("read") == .allow)
    #expect(try program.answer("write") == .errno(EPERM))
    let error = #expect(throws: ProfileError.self) {
      try load("c", ["c.yaml": "description: c\nextends: base\nsyscalls: { allow: [mount] }\n"])
    }
    #expect(
      error?.description
        == "profile 'c' can't be used: c.yaml:3:21: 'allow' of 'mount' has no effect beside a parent's 'oci'; "
        + "write it into that file")
  }

  @Test func `Such a file takes the place of a parent's rules`() throws {
    let parent =
      "description: p\nlimits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }\nsyscalls: { allow: [mount] }\n"
    let child = try load(
      "c", ["p.yaml": parent, "c.yaml": "description: c\nextends: p\nsyscalls: { oci: docker.json }\n"])
    #expect(child.profile.syscalls.allowed.isEmpty)
    #expect(child.origins[ProfileRule("syscalls.allow", "mount")] == nil)
    #expect(child.origins[ProfileRule("syscalls.oci")]?.file == "c.yaml")
  }

  @Test(
    arguments: [
      ("oci: ../x.json", "'oci' must be the name of a file beside the profile, without '/', not '../x.json'"),
      ("oci: x.json", "'oci' names 'x.json', which can't be used: open x.json: ENOENT (No such file or directory)"),
      ("oci: docker.json, allow: [read]", "'allow' can't stand beside 'oci'; write it into that file"),
    ])
  func `What is wrong with the key is said exactly`(syscalls: String, expected: String) {
    let error = #expect(throws: ProfileError.self) {
      try load("c", ["c.yaml": "description: c\nextends: base\nsyscalls: { \(syscalls) }\n"])
    }
    #expect(error?.description.hasSuffix(expected) == true, "\(error?.description ?? "")")
  }
}
