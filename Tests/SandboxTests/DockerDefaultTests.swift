import Glibc
import Leftovers
import Linux
import TestSupport
import Testing

@testable import Sandbox

/// Docker's default seccomp profile as Debian ships it (golang-github-docker-docker-dev); nil where it isn't installed.
private let dockerDefault = "/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json"

@Suite("The default profile beside Docker's") struct DockerDefaultTests {
  /// Both filters, without the part of ours that stands before a Docker file's rules: here the file itself is meant.
  private func programs() throws -> (docker: SeccompProgram, ours: SeccompProgram) {
    let bytes = try Descriptor.open(dockerDefault).readAll(limit: 1 << 20)
    let rules = try OCISeccompFile.parse(bytes)
    let profile = try ProfileFile.load("default", from: ProfileSource(directory: Repository.profiles)).profile
    return (
      SeccompProgram(try rules.compile(denied: EPERM, unknown: ENOSYS, withFloor: false)),
      SeccompProgram(try profile.syscalls.compile())
    )
  }

  /// Argument values that either filter tells apart, those beside them, and each with bits above the 32 of an `int`.
  private static let values: [UInt64] = {
    // personality, socket families, ioctl requests, clone flags, and what neither knows.
    let named: [UInt64] =
      [0, 1, 2, 3, 8, 10, 16, 17, 38, 40, 0x5412, 0x541c, 0x5423, 0x2_0000, 0x2_0008, 0x7e02_0000, 0xffff_ffff]
      + (0..<32).map { 1 << $0 }
    let near = Set(named.flatMap { [$0, $0 ^ 1, $0 &+ 1 & 0xffff_ffff] })
    return near.flatMap { low in [0, 1, 0x8000_0000, 0xffff_ffff].map { low | $0 << 32 } }
  }()

  @Test(.enabled(if: access(dockerDefault, R_OK) == 0, "golang-github-docker-docker-dev is not installed"))
  func `What Docker denies to a process without capabilities is denied here, and io_uring besides`() throws {
    let (docker, ours) = try programs()
    let names = Dictionary(uniqueKeysWithValues: SeccompPolicy.known.map { ($0.value, $0.key) })
    var stricter: Set<String> = []
    for number in UInt32(0)...600 {
      let name = names[Int32(number)]
      for place in 0..<6 {
        for value in Self.values {
          // One argument at a time: neither filter looks at two together, but ours at prlimit64's limit on core files.
          var arguments = [UInt64](repeating: 0, count: 6)
          arguments[place] = value
          let (theirs, mine) = (
            try docker.run(number: number, arguments: arguments), try ours.run(number: number, arguments: arguments)
          )
          if theirs != .allow, mine == .allow {
            Issue.record(
              "\(name ?? "\(number)") passes here and not in Docker with argument \(place) = 0x\(String(value, radix: 16))"
            )
          }
          if theirs == .allow, mine != .allow { stricter.insert(name ?? "\(number)") }
        }
      }
    }
    for name in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
      let number = try #require(SeccompPolicy.number(of: name))
      #expect(try ours.run(number: UInt32(number), arguments: [0, 0, 0, 0, 0, 0]) == .errno(EPERM))
    }
    // docs/profiles.md lists them.
    let listed = try documentedDifferences()
    #expect(stricter.sorted() == listed.sorted())
  }

  /// The names in the table of docs/profiles.md between the two marks.
  private func documentedDifferences() throws -> Set<String> {
    let text = try readFile(Repository.root + "/docs/profiles.md")
    let lines = text.split(separator: "\n").drop { !$0.contains("docker-differences") }.dropFirst()
      .prefix { !$0.contains("docker-differences") }
    return Set(
      lines.flatMap { line in
        // Names stand in backquotes in the first column.
        let column = line.split(separator: "|").first ?? ""
        return column.split(separator: "`", omittingEmptySubsequences: false).enumerated()
          .filter { $0.offset % 2 == 1 }.map { String($0.element) }
      })
  }

  @Test(.enabled(if: access(dockerDefault, R_OK) == 0, "golang-github-docker-docker-dev is not installed"))
  func `Docker's own file can be a profile's, under our floor`() throws {
    let bytes = try Descriptor.open(dockerDefault).readAll(limit: 1 << 20)
    let text = """
      description: d
      limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }
      syscalls: { oci: default.json }
      """
    let source = ProfileSource(files: ["d.yaml": text, "default.json": String(decoding: bytes, as: UTF8.self)])
    let program = SeccompProgram(try ProfileFile.load("d", from: source).profile.syscalls.compile())
    let none = [UInt64](repeating: 0, count: 6)
    func answer(_ name: String) throws -> SeccompAnswer {
      try program.run(number: UInt32(try #require(SeccompPolicy.number(of: name))), arguments: none)
    }
    #expect(try answer("read") == .allow)
    #expect(try answer("io_uring_setup") == .errno(EPERM))
    #expect(try answer("mount") == .errno(EPERM))
    #expect(try answer("clone3") == .errno(ENOSYS))
  }
}
