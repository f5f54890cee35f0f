import Glibc
import Logging

/// Starts logging on standard error for the whole process: JSON lines, or lines for people where standard error is a
/// terminal (coloured unless `NO_COLOR` is set, https://no-color.org). Call once, before the first logger is made.
public func bootstrapLogging(level: Logger.Level, component: String) {
  let terminal = isatty(STDERR_FILENO) == 1
  let plain = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
  let form: StderrLogHandler.Form = terminal ? .people(colour: !plain) : .json
  LoggingSystem.bootstrap { _ in StderrLogHandler(level: level, component: component, form: form) }
}

/// Writes each record with one `write(2)`, so that records of many threads and processes on one pipe stay whole lines
/// (up to PIPE_BUF bytes, pipe(7)).
public struct StderrLogHandler: LogHandler {
  /// How records are written.
  public enum Form: Sendable {
    /// One JSON object a line.
    case json
    /// One line a record for a terminal.
    case people(colour: Bool)
  }

  /// Records below it are not written.
  public var logLevel: Logger.Level
  /// Fields of every record of this logger.
  public var metadata: Logger.Metadata = [:]
  /// Fields that come with the task; those of the logger and the record win.
  public var metadataProvider: Logger.MetadataProvider?
  private let component: String
  private let form: Form
  private let descriptor: Int32

  /// A handler of its own, for tests and for logging elsewhere than standard error.
  public init(level: Logger.Level, component: String, form: Form, descriptor: Int32 = STDERR_FILENO) {
    self.logLevel = level
    self.component = component
    self.form = form
    self.descriptor = descriptor
  }

  /// One field of every record.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes one record.
  public func log(event: LogEvent) {
    var all = metadataProvider?.get() ?? [:]
    all.merge(metadata) { _, new in new }
    if let fields = event.metadata { all.merge(fields) { _, new in new } }
    let record = LogRecord(
      time: Timestamp.now(), level: event.level, component: component, message: "\(event.message)", metadata: all)
    switch form {
    case .json: write(record.jsonLine())
    case .people(let colour): write(record.humanLine(colour: colour))
    }
  }

  private func write(_ line: [UInt8]) {
    var rest = line[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        return  // a log that can't be written (closed pipe, full disk) must not stop the daemon
      }
    }
  }
}
