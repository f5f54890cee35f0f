import Glibc
import JSON

/// The journal of a local Hub could not be opened, read or written.
public struct JournalError: Error, Sendable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// One sentence about what is wrong and what to do.
  public let reason: String
  /// Path and reason.
  public var description: String { "\(path): \(reason)" }
}

/// An append-only file of JSON lines, one `HubChange` each.
///
/// A line is written with one `write(2)` before its request is answered, so a killed process loses nothing that was
/// answered; where `sync` is set, `fdatasync(2)` follows, so neither does a machine that loses power. A line that was cut
/// off at the end of the file (its request was never answered) is removed at start; a bad line before the end is an error.
final class Journal {
  private let path: String
  private let descriptor: Int32
  private let sync: Bool

  /// Opens or creates the file, locks it against a second Hub, and gives each change to `replay` in order.
  init(path: String, sync: Bool, replay: (HubChange) -> Void) throws(JournalError) {
    self.path = path
    self.sync = sync
    descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    // From here on everything is initialised, so a throw runs `deinit`, and that alone closes: closed twice, the number could
    // be another thread's file by the second time.
    guard descriptor >= 0 else { throw Self.failed(path, "open") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      guard errno == EWOULDBLOCK else { throw Self.failed(path, "flock") }
      throw JournalError(path: path, reason: "another Hub uses this file; stop it or give another file")
    }
    let bytes = try Self.read(descriptor, path)
    let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    for (index, line) in bytes[..<end].split(separator: UInt8(ascii: "\n")).enumerated() {
      do throws(JSONError) {
        replay(try JSON.decode(HubChange.self, from: line))
      } catch {
        throw JournalError(
          path: path, reason: "line \(index + 1) is damaged (\(error)); repair it or move the file away")
      }
    }
    guard end == bytes.count || ftruncate(descriptor, off_t(end)) == 0 else { throw Self.failed(path, "ftruncate") }
  }

  /// Gives up the lock, then the file. Closing alone would leave the lock to a child that another thread has just forked, until
  /// that has come to its exec: it is the open file's, and lasts as long as anybody has that open (flock(2)).
  deinit {
    guard descriptor >= 0 else { return }
    _ = flock(descriptor, LOCK_UN)
    close(descriptor)
  }

  /// Appends one change.
  func append(_ change: HubChange) throws(JournalError) {
    var line: [UInt8]
    do throws(JSONError) {
      line = try JSON.encode(change)
    } catch {
      throw JournalError(path: path, reason: "a change \(error)")
    }
    line.append(UInt8(ascii: "\n"))
    let length = lseek(descriptor, 0, SEEK_END)
    var rest = line[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        let error = Self.failed(path, "write")
        // Half a line must not stay before the next one. If this fails too, the next start names the line.
        _ = ftruncate(descriptor, length)
        throw error
      }
    }
    if sync, fdatasync(descriptor) != 0 { throw Self.failed(path, "fdatasync") }
  }

  private static func read(_ descriptor: Int32, _ path: String) throws(JournalError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { return bytes }
      if count > 0 {
        bytes += buffer[..<count]
      } else if errno != EINTR {
        throw failed(path, "read")
      }
    }
  }

  private static func failed(_ path: String, _ call: String) -> JournalError {
    let code = errno
    let cause = "\(call): \(String(cString: strerror(code))) (errno \(code))"
    return JournalError(path: path, reason: "\(cause); give a file in a directory that this user may write to")
  }
}
