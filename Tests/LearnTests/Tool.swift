import Glibc
import JSON
import Linux

/// The product's programs, as they were built beside this test, and a directory that sandboxes can show (not in /tmp, which
/// each has for itself).
struct Tool {
  let folder: String
  static let profiles = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/profiles"
  /// Making sandboxes and becoming another user.
  static var isRoot: Bool { geteuid() == 0 }

  static let botburrow: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
    }
    let path = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/botburrow"
  }()

  init() throws {
    var template = Array("/var/tmp/botburrow-learn-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LinuxError.last("mkdtemp", "/var/tmp") }
    folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(folder, 0o755)
  }

  func remove() throws { try removeTree(folder) }

  func write(_ name: String, _ text: String) throws {
    try Descriptor.open("\(folder)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
  }

  struct Result {
    var end: ProcessEnd
    var output: String
    var errors: String
    var isGood: Bool { end == .exited(0) }
  }

  /// Runs a program to its end.
  func run(_ arguments: [String]) throws -> Result {
    let name = "\(folder)/run-\(UInt32.random(in: 0...UInt32.max))"
    let streams = try [
      Descriptor.open("/dev/null"), Descriptor.open("\(name).out", O_WRONLY | O_CREAT),
      Descriptor.open("\(name).err", O_WRONLY | O_CREAT),
    ]
    let process = try ProcessHandle(
      child: try spawn(
        arguments[0], arguments, environment: ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=\(folder)"],
        descriptors: streams, ownGroup: true))
    guard let end = try process.wait() else { throw LinuxError("waitid", arguments[0], code: ECHILD) }
    return Result(
      end: end, output: try readFile("\(name).out", limit: 1 << 24), errors: try readFile("\(name).err", limit: 1 << 24)
    )
  }

  /// `botburrow profile learn`.
  func learn(_ options: [String], _ command: [String]) throws -> Result {
    try run(
      [Self.botburrow, "profile", "learn", "--profiles", Self.profiles, "--cgroup", "best-effort"] + options + ["--"]
        + command)
  }

  /// Runs a command in a sandbox of one of this folder's profiles, which begin as copies of the project's.
  func sandbox(_ profile: String, _ command: [String]) throws -> Result {
    try run(
      [
        Self.botburrow, "sandbox", "run", "--standalone", "--cgroup", "best-effort", "--profiles", "\(folder)/profiles",
        "-p",
        profile, "--",
      ] + command)
  }

  func copyProfiles() throws {
    mkdir("\(folder)/profiles", 0o755)
    for name in try files(in: Self.profiles) {
      try write("profiles/\(name)", try readFile("\(Self.profiles)/\(name)"))
    }
  }
}
