import AgentLoop
import Glibc
import JSON
import Linux

/// `botburrow-agent` as it was built beside this test, run on this machine as if it were inside a sandbox.
struct ProgramRun: Sendable {
  let directory: String
  var output = ""
  var errors = ""
  var exit = Int32(0)
  var seconds = 0.0

  /// What it said.
  var result: JSONValue { (try? JSONValue(parsing: output.utf8)) ?? .null }
  var answer: String? { result["answer"]?.string }
  var error: String? { result["error"]?.string }
  var iterations: Int64? { result["iterations"]?.integer }

  private static let products: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
  }()
  static var program: String { "\(products)/botburrow-agent" }

  /// A working directory of its own.
  init() throws {
    var template = Array("/tmp/botburrow-loop-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LinuxError.last("mkdtemp", "/tmp/botburrow-loop-XXXXXX") }
    directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try mkdirs("files")
  }

  private func mkdirs(_ name: String) throws {
    if mkdir("\(directory)/\(name)", 0o755) < 0 { throw LinuxError.last("mkdir", "\(directory)/\(name)") }
  }

  /// A file of the working directory.
  func write(_ name: String, _ text: String) throws {
    try Descriptor.open("\(directory)/files/\(name)", O_WRONLY | O_CREAT).write(text.utf8)
  }
  func read(_ name: String) throws -> String { try readFile("\(directory)/files/\(name)", limit: 1 << 24) }

  /// Runs it to its end.
  mutating func run(_ brief: LoopBrief, prompt: String = "Go.", token: String = "stand-in-key") async throws {
    let directory = directory
    try Descriptor.open("\(directory)/loop.json", O_WRONLY | O_CREAT | O_TRUNC).write(brief.json.compactText.utf8)
    try Descriptor.open("\(directory)/in", O_WRONLY | O_CREAT | O_TRUNC).write(prompt.utf8)
    let start = ContinuousClock.now
    exit = try await Thread.run {
      let streams = [
        try Descriptor.open("\(directory)/in"),
        try Descriptor.open("\(directory)/out", O_WRONLY | O_CREAT | O_TRUNC),
        try Descriptor.open("\(directory)/err", O_WRONLY | O_CREAT | O_TRUNC),
      ]
      // The working directory is the caller's, which all tests share.
      let words = ["/usr/bin/env", "-C", "\(directory)/files", Self.program, "\(directory)/loop.json"]
      let pid = try spawn(
        words[0], words,
        environment: ["PATH=/usr/bin:/bin", "BOTBURROW_GATEWAY_TOKEN=\(token)", "OWN=visible"], descriptors: streams)
      let end = try ProcessHandle(child: pid).wait()
      return end == .exited(0) ? 0 : end == .exited(1) ? 1 : -1
    }
    seconds = (ContinuousClock.now - start) / .seconds(1)
    output = try readFile("\(directory)/out", limit: 1 << 24)
    errors = try readFile("\(directory)/err", limit: 1 << 24)
  }

  func remove() {
    guard let pid = try? spawn("/bin/rm", ["rm", "-rf", directory], descriptors: [nil, nil, nil]) else { return }
    _ = try? ProcessHandle(child: pid).wait()
  }
}
