import Glibc
import JSON
import Leftovers
import Linux
import TestSupport
import Testing

@testable import Sandbox

private func profile() throws -> Profile {
  try ProfileFile.load("default", from: ProfileSource(directory: Repository.profiles)).profile
}

private func tightening(_ change: (inout Tightening) -> Void) -> Tightening {
  var tightening = Tightening()
  change(&tightening)
  return tightening
}

@Suite("Requests that tighten a profile") struct TighteningTests {
  @Test func `Whatever is asked, nothing gets looser`() throws {
    var base = try profile()
    base.limits.memoryHigh = 512 << 20
    base.limits.io = .init(readBytes: 1 << 20, writeOperations: 10)
    let more = tightening {
      $0.memoryHighBytes = 1 << 40
      $0.cpuWeight = 10_000
      $0.readBytesPerSecond = 1 << 30
      $0.writesPerSecond = 1000
      $0.openFiles = 1 << 20
      $0.fileSizeBytes = 1 << 40
    }
    #expect(base.tightened(by: more) == base)
    #expect(base.tightened(by: Tightening()) == base)
  }

  @Test func `What is less is what holds`() throws {
    let base = try profile()
    let less = base.tightened(
      by: tightening {
        $0.memoryHighBytes = 64 << 20
        $0.cpuWeight = 10
        $0.readBytesPerSecond = 1 << 20
        $0.writesPerSecond = 5
        $0.openFiles = 32
        $0.fileSizeBytes = 1 << 20
        $0.withoutNetwork = true
        $0.needsLandlock = true
        $0.denied = ["ptrace", "socket", "chmod"]
      })
    #expect(less.limits.memoryHigh == 64 << 20)
    #expect(less.limits.cpuWeight == 10)
    #expect(less.limits.io == .init(readBytes: 1 << 20, writeOperations: 5))
    #expect(less.limits.openFiles == 32 && less.limits.fileSize == 1 << 20)
    #expect(less.network == .none && less.landlock == .required)
    #expect(less.syscalls.conditional["socket"] == nil)
    #expect(!less.syscalls.allowed.contains("chmod"))
    let program = SeccompProgram(try less.syscalls.compile())
    for name in ["socket", "chmod"] {
      let number = UInt32(try #require(SeccompPolicy.number(of: name)))
      #expect(try program.run(number: number, arguments: [1, 0, 0, 0, 0, 0]) == .errno(EPERM))
    }
  }

  @Test func `More than the profile gives is said`() throws {
    let base = try profile()
    #expect(base.excesses(.init(memoryBytes: 1 << 30, cpus: 1, pids: 256, timeoutSeconds: 600), nil) == [])
    let wish = tightening {
      $0.openFiles = 2048
      $0.cpuWeight = 101
      $0.memoryHighBytes = 2 << 30
      $0.readBytesPerSecond = 1 << 40
      $0.masked = ["/proc/kcore", "/usr/share", "/root"]
    }
    #expect(
      base.excesses(.init(memoryBytes: 2 << 30, cpus: 1.5, pids: 257, timeoutSeconds: 601), wish) == [
        "'memory' is 2GiB, more than the 1GiB of profile 'default'; a definition can only tighten",
        "'cpus' is 1.5, more than the 1 of profile 'default'; a definition can only tighten",
        "'pids' is 257, more than the 256 of profile 'default'; a definition can only tighten",
        "'timeout' is 601 s, more than the 600 s of profile 'default'; a definition can only tighten",
        "'memory_high' is 2GiB, more than the 1GiB of profile 'default'; a definition can only tighten",
        "'cpu_weight' is 101, more than the 100 of profile 'default'; a definition can only tighten",
        "'open_files' is 2048, more than the 1024 of profile 'default'; a definition can only tighten",
        "'masked' names /root, which doesn't show in profile 'default' anyway",
      ])
  }

  @Test(
    arguments: [
      (tightening { $0.openFiles = -1 }, "openFiles -1 must be at least 16"),
      (tightening { $0.cpuWeight = 0 }, "cpuWeight 0 must be at least 1"),
      (
        tightening { $0.masked = ["/usr/../etc"] },
        "masked path '/usr/../etc' must be an absolute path without '.', '..' or '//'"
      ),
      (tightening { $0.masked = ["/"] }, "masked path '/' must be an absolute path without '.', '..' or '//'"),
      (tightening { $0.denied = ["opn"] }, "'opn' names no system call"),
      (
        tightening { $0.denied = ["execve"] },
        "'execve' can't be denied: PID 1 of every sandbox needs it (becomes the program)"
      ),
    ] as [(Tightening, String)])
  func `Nonsense is refused`(wish: Tightening, expected: String) throws {
    #expect(wish.objection() == expected)
    var asked = request(["/bin/true"])
    asked.tightening = wish
    #expect(asked.objection(descriptors: 3) == expected)
  }

  @Test func `A variant is made once, and forgotten with the profiles`() throws {
    let catalogue = Catalogue(directory: Repository.profiles)
    let base = try catalogue.entry("default")
    let wish = tightening {
      $0.denied = ["chmod"]
      $0.masked = ["/proc/version", "/usr/share", "/proc/nothing"]
    }
    let variant = try catalogue.entry("default", wish)
    #expect(variant.filter != base.filter && variant.digest == base.digest)
    #expect(variant.masked == [.maskedFile("/proc/version"), .maskedDirectory("/usr/share")])
    #expect(try catalogue.entry("default", wish).filter == variant.filter)
    #expect(try catalogue.entry("default", Tightening()).filter == base.filter)
    #expect(try catalogue.entry("default").masked.isEmpty)
    let error = #expect(throws: SandboxRefused.self) {
      try catalogue.entry("default", tightening { $0.masked = ["/proc/self"] })
    }
    #expect(
      error?.description.hasPrefix("masked path '/proc/self' is a symbolic link; name what it leads to: ") == true)
  }

  @Test(.enabled(if: geteuid() == 0, "a supervisor must be root"))
  func `A sandbox is as its request tightened it, and its neighbour isn't`() async throws {
    let supervisor = try TestSupervisor()
    let script = """
      ulimit -n; chmod 700 /tmp/x 2>/dev/null; echo chmod $?; wc -c < /proc/version; ls /usr/share | wc -l; ls /sys 2>&1
      test -e /proc/net/dev && grep -c eth /proc/net/dev
      """
    func run(_ wish: Tightening?) async throws -> [Substring] {
      var asked = request(["sh", "-c", "touch /tmp/x; " + script])
      asked.tightening = wish
      let result = try await supervisor.launcher.run(
        asked, files: [], input: [], outputLimit: 1 << 16, serve: { _ in })
      #expect(result.receipt.json["tightening"]?["open_files"] == (wish == nil ? nil : 100))
      return String(decoding: result.output, as: UTF8.self).split(separator: "\n")
    }
    let wish = tightening {
      $0.openFiles = 100
      $0.denied = ["chmod", "fchmodat"]
      $0.masked = ["/proc/version", "/usr/share"]
      $0.withoutNetwork = true
    }
    let tight = try await run(wish)
    let control = try await run(nil)
    #expect(tight.prefix(4) == ["100", "chmod 1", "0", "0"])
    #expect(control.prefix(2) == ["1024", "chmod 0"])
    #expect(control.count > 3 && control[2] != "0" && control[3] != "0")
  }
}
