import Glibc
import Linux
import Observe

/// One daemon of the system under test: what it is started with, and each time it was.
@MainActor
final class Part {
  /// What it is.
  enum Kind: String, CaseIterable, Sendable { case redis, hub, supervisor, coordinator, runner }

  /// One process of it, from its start to its end. Times are microseconds since 1970.
  struct Life {
    var pid: pid_t
    var log: String
    var started: Int64
    var ended: Int64?
  }

  let kind: Kind
  let name: String
  /// The host that it is on; supervisor and runners of a host belong together.
  let host: Int
  private let arguments: [String]
  private let environment: [String]
  private let directory: String
  private(set) var lives: [Life] = []
  private(set) var handle: ProcessHandle?
  /// Whether its end was somebody's wish.
  var isDoomed = false
  /// When it is to run again after SIGSTOP.
  var continuesAt: ContinuousClock.Instant?
  /// When it is to be started again.
  var restartsAt: ContinuousClock.Instant?

  init(_ kind: Kind, _ name: String, host: Int = 0, _ arguments: [String], environment: [String], in directory: String)
  {
    (self.kind, self.name, self.host, self.arguments) = (kind, name, host, arguments)
    (self.environment, self.directory) = (environment, directory)
  }

  /// Whether it runs and isn't stopped.
  var isAwake: Bool { handle != nil && continuesAt == nil && !isDoomed }
  var pid: pid_t { handle?.pid ?? 0 }
  var log: String { lives.last?.log ?? "" }

  /// From the main thread, which lasts: the death signal comes when the thread that started it ends.
  func start() throws {
    let log = "\(directory)/\(name)-\(lives.count + 1).log"
    let errors = try Descriptor.open(log, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let pid = try spawn(
      arguments[0], arguments, environment: ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"] + environment,
      descriptors: [null, kind == .redis ? errors : null, errors], ownGroup: true)
    handle = try ProcessHandle(child: pid)
    lives.append(Life(pid: pid, log: log, started: Timestamp.now()))
    isDoomed = false
    restartsAt = nil
    continuesAt = nil
  }

  /// Its end where it came; it has no handle from then on.
  func endedNow() throws -> ProcessEnd? {
    guard let end = try handle?.wait(now: true) else { return nil }
    handle = nil
    continuesAt = nil
    lives[lives.count - 1].ended = Timestamp.now()
    return end
  }

  func signal(_ number: Int32) throws { try handle?.signal(number) }

  /// Every record of every life, oldest first.
  func records() throws -> [(life: Int, records: [LogLine])] {
    try lives.enumerated().map { index, life in
      (index, try readFile(life.log, limit: 1 << 30).split(separator: "\n").compactMap { LogLine(String($0)) })
    }
  }
}
