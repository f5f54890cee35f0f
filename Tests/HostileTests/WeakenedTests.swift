import Glibc
import Hostile
import Testing

/// Profiles that are weakened on purpose, each in one way: the suite must see it. The probes are those of the profile as it
/// was, so what is expected is what the unweakened one answers.
@Suite(.enabled(if: geteuid() == 0, "namespaces and controls need root"))
struct WeakenedTests {
  struct Weakness: Sendable, CustomTestStringConvertible {
    var name: String
    var change: String
    /// Titles of which each must break.
    var breaks: [String]
    var testDescription: String { name }
  }

  static let weaknesses = [
    Weakness(
      name: "traces", change: "syscalls: { allow: [ptrace, process_vm_readv] }",
      breaks: ["trace a child", "read a child's memory", "every number from 0 to 600"]),
    Weakness(
      name: "namespaces",
      change: "syscalls: { allow: [unshare, setns], when: [{ name: clone, argument: 0, clear: 0x20000 }] }",
      breaks: ["every number from 0 to 600", "arguments of clone", "setns to its own user namespace"]),
    Weakness(
      name: "netlink", change: "syscalls: { when: [{ name: socket, argument: 0, one_of: [1, 2, 3, 10, 16, 17] }] }",
      breaks: ["route netlink", "generic netlink", "netlink by a number of more than 32 bits", "arguments of socket"]),
    Weakness(
      name: "terminals", change: "syscalls: { when: [{ name: ioctl, argument: 1, none_of: [0x5423] }] }",
      breaks: ["paste into its terminal", "arguments of ioctl"]),
    Weakness(
      name: "masks", change: "remove: { masked: [/proc/vmstat, /proc/interrupts, /proc/zoneinfo] }",
      breaks: ["the host's memory events", "interrupts of the host", "the host's memory zones"]),
    Weakness(
      name: "settings", change: "remove: { read_only_proc: [/proc/sys] }", breaks: ["a writable /proc/sys"]),
    Weakness(
      name: "more", change: "limits: { open_files: 8192, pids: 2000, file_size: 1G }",
      breaks: [
        "a higher limit of open files", "a higher limit of processes", "more open files than its profile allows",
        "more processes than its profile allows",
      ]),
    Weakness(
      name: "room", change: "scratch: [{ path: /tmp, size: 128M, inodes: 65536 }]",
      breaks: ["more bytes in /tmp than its profile allows", "more files in /tmp than its profile allows"]),
    Weakness(
      name: "host", change: "read_only: [/var]",
      breaks: ["the directory /var", "a readable file of the host outside /usr"]),
    Weakness(
      name: "variables", change: "environment: { SECRET: hunter2 }", breaks: ["the supervisor's environment"]),
    Weakness(
      name: "keys", change: "syscalls: { allow: [keyctl, add_key, request_key, bpf, userfaultfd, io_uring_setup] }",
      breaks: ["open a keyring", "make an io_uring", "every number from 0 to 600"]),
  ]

  @Test(.timeLimit(.minutes(5))) func everyWeaknessIsSeen() async throws {
    let changed = Self.weaknesses.map { weakness in
      ("weak-\(weakness.name)", "extends: default\ndescription: weakened on purpose\n\(weakness.change)\n")
    }
    let (_, left) = try await Hostile.Suite.upon(
      HostileTests.places, changed: Dictionary(uniqueKeysWithValues: changed)
    ) { suite in
      for weakness in Self.weaknesses { try await expectSeen(weakness, by: suite) }
    }
    #expect(left == [])
  }

  private func expectSeen(_ weakness: Weakness, by suite: Hostile.Suite) async throws {
    let findings = try await suite.run(
      profile: "weak-\(weakness.name)", as: "default", only: { weakness.breaks.contains($0.name) })
    #expect(findings.count == weakness.breaks.count, "\(weakness.name): some of its probes don't exist")
    for finding in findings {
      let answer = finding.inside ?? "not tried"
      #expect(!finding.isHeld, "\(weakness.name): \(finding.title) held: \(answer)")
      // Not for the reason that the sandbox couldn't be made.
      #expect(!answer.hasPrefix("setup failed") && !answer.hasPrefix("refused"), "\(weakness.name): \(answer)")
    }
  }
}
