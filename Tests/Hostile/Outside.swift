import Glibc
import Linux

/// What the suite can't go on without.
struct GroundError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A variable that the supervisor and every control have, and no sandbox.
let secretVariable = "HOSTILE_SECRET=must-not-show"
private let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", secretVariable]

/// Runs a shell script on the host with `words` as its arguments; gives what it printed, without the last line's end.
/// A script that printed nothing gives how it ended.
func runOutside(_ script: String, _ words: [String], input: [UInt8] = []) throws -> String {
  let (read, write) = try makePipe()
  let file: Descriptor
  if input.isEmpty {
    file = try Descriptor.open("/dev/null", O_RDWR)
  } else {
    file = try Descriptor.sealed(input, name: "input")
    try file.rewind()
  }
  let shell = try ProcessHandle(
    child: try spawn(
      "/bin/sh", ["sh", "-c", script, "sh"] + words, environment: environment,
      descriptors: [file, write, Descriptor.borrowed(2)]))
  write.close()
  let output = String(decoding: try read.readAll(limit: 64 << 20), as: UTF8.self)
  let end = try shell.wait()
  if output.isEmpty { return end.map { "\($0)" } ?? "running" }
  return String(output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().joined(separator: "\n"))
}

/// A host process that lives as long as the suite and ends with this process, however that ends: a shell between waits
/// for the end of a pipe that we hold.
final class Companion: Sendable {
  private let shell: ProcessHandle
  private let hold: Descriptor
  private let output: Descriptor
  let pid: pid_t

  init(_ words: [String], log: String) throws {
    let (holdRead, holdWrite) = try makePipe()
    let (outputRead, outputWrite) = try makePipe()
    let errors = try Descriptor.open(log, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
    // A session of its own: a signal to the group of the tests would end the shell before it can end its child.
    let script = #""$@" </dev/null & echo $!; read -r line; kill -TERM $! 2>/dev/null; wait $!"#
    shell = try ProcessHandle(
      child: try spawn(
        "/usr/bin/setsid", ["setsid", "sh", "-c", script, "sh"] + words, environment: environment,
        descriptors: [holdRead, outputWrite, errors]))
    hold = holdWrite
    output = outputRead
    outputWrite.close()
    let line = try Self.line(outputRead)
    guard let number = pid_t(line) else { throw GroundError("\(words[0]) gave no pid but '\(line)'") }
    pid = number
  }

  /// The next line that it prints.
  func line() throws -> String { try Self.line(output) }

  static func line(_ pipe: Descriptor) throws -> String {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(pipe.number, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    return String(decoding: line, as: UTF8.self)
  }

  /// SIGTERM, then its end.
  func end() throws -> ProcessEnd? {
    hold.close()
    return try shell.wait()
  }
}

/// Host processes whose command line has this text.
func processes(containing text: String) throws -> [pid_t] {
  guard let directory = opendir("/proc") else { throw LinuxError.last("opendir", "/proc") }
  defer { closedir(directory) }
  var found: [pid_t] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    guard let pid = pid_t(name) else { continue }
    if try commandLine(pid)?.contains(text) == true { found.append(pid) }
  }
  return found
}

/// Nil for a process that ended meanwhile.
private func commandLine(_ pid: pid_t) throws(LinuxError) -> String? {
  do throws(LinuxError) {
    return try readFile("/proc/\(pid)/cmdline")
  } catch {
    if [ENOENT, ESRCH].contains(error.code) { return nil }
    throw error
  }
}
