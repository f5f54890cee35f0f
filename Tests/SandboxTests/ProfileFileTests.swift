import Leftovers
import Linux
import Testing
import YAML

@testable import Sandbox

/// The exact text of what is wrong with a profile, or nothing.
private func messages(_ text: String) -> String? {
  do throws(YAMLErrors) {
    _ = try ProfileFile.parse(Array(text.utf8), file: "p.yaml", name: "p")
    return nil
  } catch {
    return error.description
  }
}

private let limits = "limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }"
private let syscalls = "syscalls: { allow: [read, write] }"

@Suite("Profile files") struct ProfileFileTests {
  @Test func `The default profile is read whole`() throws {
    let loaded = try ProfileFile.parse(
      try Descriptor.open(Repository.profiles + "/default.yaml").readAll(limit: 1 << 20), file: "default.yaml",
      name: "default")
    let profile = loaded.profile
    #expect(profile.name == "default")
    #expect(
      profile.limits
        == Profile.Limits(
          memory: 1 << 30, swap: 0, cpus: 1, pids: 256, openFiles: 1024, fileSize: 256 << 20, timeout: .seconds(600)))
    #expect(profile.controlGroup == .required)
    #expect(profile.network == .gateway)
    #expect(profile.readOnly.first == Profile.ReadOnlyPath(path: "/usr", optional: false))
    #expect(profile.readOnly.dropFirst().allSatisfy { $0.optional })
    #expect(profile.scratch.map(\.path) == ["/tmp", "/workspace", "/dev/shm"])
    #expect(profile.syscalls.conditional["clone"] == .init(argument: 0, .clear(0x7e02_0000)))
    #expect(profile.syscalls.errnos == ["clone3": 38])
    #expect(
      profile.syscalls.allowed.isDisjoint(with: ["bpf", "io_uring_setup", "keyctl", "mount", "ptrace", "unshare"]))
    #expect(loaded.digest.hasPrefix("sha256:") && loaded.digest.utf8.count == 71)
  }

  @Test func `The least that a profile can say`() throws {
    let text = "description: least\n\(limits)\n\(syscalls)\n"
    let loaded = try ProfileFile.parse(Array(text.utf8), file: "p.yaml", name: "p")
    #expect(loaded.profile.controlGroup == .required)
    #expect(loaded.profile.limits.swap == 0)
    #expect(loaded.profile.uid == 1000)
    // printf 'description: least\nlimits: …\n' | sha256sum of the same bytes changes with every byte.
    let other = try ProfileFile.parse(Array((text + "# x\n").utf8), file: "p.yaml", name: "p")
    #expect(loaded.digest != other.digest)
  }

  @Test(
    arguments: [
      (
        "description: x\n\(limits)\n\(syscalls)\nnetwrok: none\n",
        "p.yaml:4:1: unknown key 'netwrok'; did you mean 'network'?"
      ),
      ("description: x\n\(syscalls)\n", "p.yaml:1:1: 'limits' is missing"),
      (
        "description: x\n\(limits)\n\(syscalls)\nread_only: [/usr, '?/a/../b', etc]\n",
        """
        p.yaml:4:19: 'read_only[1]' must be an absolute path without '.', '..' or '//', not '?/a/../b'
        """
      ),
      (
        "description: x\n\(limits)\n\(syscalls)\nscratch: [{ path: tmp, size: 1M }]\n",
        "p.yaml:4:19: 'path' must be an absolute path without '.', '..' or '//', not 'tmp'"
      ),
      (
        "description: x\n\(limits)\nsyscalls: { allow: [read, wirte] }\n",
        "p.yaml:3:27: 'allow[1]' names no system call: 'wirte'; did you mean 'write'?"
      ),
      (
        "description: x\n\(limits)\nsyscalls: { allow: [read], when: [{ name: socket, argument: 0 }] }\n",
        "p.yaml:3:35: 'socket' needs exactly one of 'one_of', 'none_of' and 'clear'"
      ),
      (
        "description: x\n\(limits)\nsyscalls: { allow: [read], when: [{ name: read, argument: 0, one_of: [1] }] }\n",
        "p.yaml:3:34: 'read' is in 'allow' already, so its condition would never be looked at"
      ),
      (
        "description: x\n\(limits)\nsyscalls: { allow: [read], when: [{ name: socket, argument: 6, one_of: [0x1ffffffff] }] }\n",
        """
        p.yaml:3:61: 'argument' must be a whole number between 0 and 5, not '6'
        p.yaml:3:73: 'one_of[0]' must be a number of 32 bits, not '0x1ffffffff'
        """
      ),
      (
        "description: x\n\(syscalls)\nlimits: { memory: 64M, cpus: 0, pids: -1, timeout: 1m }\n",
        """
        p.yaml:3:30: 'cpus' must be a number between 0.01 and 1024, not '0'
        p.yaml:3:39: 'pids' must be a whole number between 2 and 1000000, not '-1'
        """
      ),
      (
        "description: x\n\(limits)\n\(syscalls)\ncgroup: maybe\n",
        "p.yaml:4:9: 'cgroup' must be one of required, best-effort, not 'maybe'"
      ),
    ] as [(String, String)])
  func `What is wrong is said exactly`(text: String, expected: String) {
    #expect(messages(text) == expected)
  }

  @Test func `Names that are no file names are refused before they are a path`() throws {
    let catalogue = Catalogue(directory: Repository.profiles)
    for name in ["", "../default", "a/b", "Default", "a.b", String(repeating: "a", count: 65)] {
      let error = #expect(throws: SandboxRefused.self) { try catalogue.entry(name) }
      #expect(error?.description == "profile '\(name)' must be a name of small letters, digits and '-'")
    }
    let error = #expect(throws: SandboxRefused.self) { try catalogue.entry("nobody") }
    #expect(
      error?.description.hasPrefix(
        "profile 'nobody' isn't there: \(Repository.profiles)/nobody.yaml doesn't exist; the profiles here are ")
        == true)
  }
}
