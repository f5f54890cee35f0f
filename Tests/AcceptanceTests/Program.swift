import Glibc
import JSON
import Linux
import Synchronization

/// A program that a test started, with all that it wrote. It ends at the latest with this object, or with the test process.
final class Program: Sendable {
  let handle: ProcessHandle
  private let outputPath: String
  private let errorPath: String
  private let end = Mutex<ProcessEnd?>(nil)

  var pid: pid_t { handle.pid }

  /// - Parameters:
  ///   - directory: where its output is kept, in files named after `name`.
  ///   - input: its standard input.
  static func start(
    _ name: String, _ arguments: [String], in directory: String, environment: [String: String] = [:],
    input: String = "", deathSignal: String = "TERM"
  ) async throws -> Program {
    let path = "\(directory)/\(name)-\(UInt32.random(in: 0...UInt32.max))"
    try writeNew("\(path).in", input)
    let variables = ["PATH=/usr/local/bin:/usr/bin:/bin"] + environment.map { "\($0.key)=\($0.value)" }
    // The death signal comes when the thread that started the program ends, so that one must last: see `Starter`.
    let words = ["/usr/bin/setpriv", "--pdeathsig", deathSignal, "--"] + arguments
    return try await Starter.shared.run {
      let streams = [
        try Descriptor.open("\(path).in"), try Descriptor.open("\(path).out", O_WRONLY | O_CREAT | O_APPEND),
        try Descriptor.open("\(path).err", O_WRONLY | O_CREAT | O_APPEND),
      ]
      let pid = try spawn(
        words[0], words, environment: variables, descriptors: streams, ownGroup: true)
      return Program(
        handle: try ProcessHandle(child: pid), outputPath: "\(path).out", errorPath: "\(path).err")
    }
  }

  private init(handle: ProcessHandle, outputPath: String, errorPath: String) {
    self.handle = handle
    self.outputPath = outputPath
    self.errorPath = errorPath
  }

  deinit {
    if end.withLock({ $0 == nil }) {
      kill(handle.pid, SIGKILL)
      kill(handle.pid, SIGCONT)
      _ = try? handle.wait()
    }
  }

  var output: String { (try? readFile(outputPath, limit: 1 << 24)) ?? "" }
  var errors: String { (try? readFile(errorPath, limit: 1 << 24)) ?? "" }
  /// What it logged: the lines of standard error that are JSON objects.
  var records: [JSONValue] {
    errors.split(separator: "\n").compactMap { line in
      line.first == "{" ? try? JSONValue(parsing: Array(line.utf8)) : nil
    }
  }
  /// The records with this message.
  func logged(_ message: String) -> [JSONValue] { records.filter { $0["message"]?.string == message } }

  func signal(_ number: Int32) throws { try handle.signal(number) }

  /// kill -9, and its end.
  func kill9() async throws {
    try handle.signal(SIGKILL)
    _ = try await ended(within: .seconds(30))
  }

  /// TERM, and its end.
  func terminate(within patience: Duration = .seconds(15)) async throws -> ProcessEnd {
    try handle.signal(SIGTERM)
    return try await ended(within: patience)
  }

  /// How it ended.
  func ended(within patience: Duration) async throws -> ProcessEnd {
    try await eventually("the end of process \(pid)", within: patience) { try self.endedNow }
  }

  private var endedNow: ProcessEnd? {
    get throws {
      try end.withLock { end in
        if end == nil { end = try handle.wait(now: true) }
        return end
      }
    }
  }
}

/// A thread that starts programs and never ends.
private final class Starter: Sendable {
  static let shared = Starter()
  private let jobs = Mutex<[@Sendable () -> Void]>([])
  private let bell: (read: Descriptor, write: Descriptor)?

  private init() {
    bell = try? makePipe()
    Thread.detach { [self] in
      var byte: UInt8 = 0
      while let bell, read(bell.read.number, &byte, 1) > 0 {
        let job = jobs.withLock { $0.removeFirst() }
        job()
      }
    }
  }

  func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      jobs.withLock { $0.append { continuation.resume(with: Result { try body() }) } }
      do { try bell?.write.write([1]) } catch { continuation.resume(throwing: error) }
    }
  }
}

/// Something that should have happened did not.
struct NotInTime: Error, CustomStringConvertible {
  let description: String
}

/// Looks until there is something; says what was missing when the time is over.
@discardableResult
func eventually<Value>(
  _ what: String, within patience: Duration, isolation: isolated (any Actor)? = #isolation,
  _ look: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now + patience
  while true {
    if let value = try await look() { return value }
    if ContinuousClock.now > deadline { throw NotInTime(description: "not within \(patience): \(what)") }
    try await Task.sleep(for: .milliseconds(10))
  }
}

/// The same for a condition.
func until(
  _ what: String, within patience: Duration, isolation: isolated (any Actor)? = #isolation,
  _ holds: () async throws -> Bool
) async throws {
  try await eventually(what, within: patience) { try await holds() ? true : nil }
}

func writeNew(_ path: String, _ text: String) throws {
  try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
}
