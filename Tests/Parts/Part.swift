import Glibc
import Linux
import Observe

/// One daemon of a system under test: what it is started with, and each time it was.
@MainActor
package final class Part {
  /// What it is.
  package enum Kind: String, CaseIterable, Sendable { case redis, hub, supervisor, coordinator, runner }

  /// One process of it, from its start to its end. Times are microseconds since 1970.
  package struct Life {
    package var pid: pid_t
    package var log: String
    package var started: Int64
    package var ended: Int64?
  }

  package let kind: Kind
  package let name: String
  /// The host that it is on; supervisor and runners of a host belong together.
  package let host: Int
  private let arguments: [String]
  private let environment: [String]
  private let directory: String
  package private(set) var lives: [Life] = []
  /// Nil while no process of it is there.
  package private(set) var handle: ProcessHandle?
  /// Whether its end was somebody's wish.
  package var isDoomed = false
  /// When it is to run again after SIGSTOP.
  package var continuesAt: ContinuousClock.Instant?
  /// When it is to be started again.
  package var restartsAt: ContinuousClock.Instant?

  /// - Parameter directory: of its logs, one for each life.
  package init(
    _ kind: Kind, _ name: String, host: Int = 0, _ arguments: [String], environment: [String], in directory: String
  ) {
    (self.kind, self.name, self.host, self.arguments) = (kind, name, host, arguments)
    (self.environment, self.directory) = (environment, directory)
  }

  /// Whether it runs and isn't stopped.
  package var isAwake: Bool { handle != nil && continuesAt == nil && !isDoomed }
  package var pid: pid_t { handle?.pid ?? 0 }
  package var log: String { lives.last?.log ?? "" }

  /// From the main thread, which lasts: the death signal comes when the thread that started it ends.
  package func start() throws {
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
  package func endedNow() throws -> ProcessEnd? {
    guard let end = try handle?.wait(now: true) else { return nil }
    handle = nil
    continuesAt = nil
    lives[lives.count - 1].ended = Timestamp.now()
    return end
  }

  package func signal(_ number: Int32) throws { try handle?.signal(number) }

  /// Every record of every life, oldest first.
  package func records() throws -> [(life: Int, records: [LogLine])] {
    try lives.enumerated().map { index, life in
      (index, try LogLine.all(in: life.log))
    }
  }
}
