import Glibc

/// A wall clock that a test sets forward and back under a program's feet, as a host's is set: libfaketime, which is told by a file.
/// Clocks that only go forward (CLOCK_MONOTONIC) stay true, as they do on a host.
public final class FakeClock: Sendable {
  private let file: String

  /// libfaketime as Debian's package `faketime` brings it; nil where it isn't there.
  public static let sharedObject: String? = {
    let path = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    return access(path, R_OK) == 0 ? path : nil
  }()

  /// Why a test that needs it is skipped.
  public static let missing = "needs libfaketime, of Debian's package faketime"

  /// A clock that is right, so far.
  public init() throws {
    var template = Array("/tmp/botburrow-clock-XXXXXX".utf8CString)
    let made = mkstemp(&template)
    guard made >= 0 else { throw TestServerError("mkstemp: errno \(errno)") }
    close(made)
    // Servers that gave up root read it too.
    file = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(file, 0o644)
    try set(seconds: 0)
  }
  deinit { unlink(file) }

  /// How far the clock is off from now on.
  public func set(seconds: Int) throws {
    // One write of a few bytes in place: who reads meanwhile sees the old or the new.
    let text = (seconds < 0 ? "-" : "+") + "\(abs(seconds))"
    let padded = text + String(repeating: " ", count: max(0, 15 - text.utf8.count)) + "\n"
    let descriptor = open(file, O_WRONLY)
    guard descriptor >= 0 else { throw TestServerError("open \(file): errno \(errno)") }
    defer { close(descriptor) }
    guard pwrite(descriptor, padded, padded.utf8.count, 0) == padded.utf8.count else {
      throw TestServerError("write \(file): errno \(errno)")
    }
  }

  /// What a program needs in its environment to go by this clock.
  /// - Parameter usesJemalloc: as redis-server does, which asks for the time before libfaketime is ready to be asked: glibc's own
  ///   allocator takes its place.
  public func environment(usesJemalloc: Bool = false) throws -> [String: String] {
    guard let library = Self.sharedObject else { throw TestServerError(Self.missing) }
    return [
      "LD_PRELOAD": usesJemalloc ? "\(library):/lib/x86_64-linux-gnu/libc.so.6" : library,
      "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
    ]
  }

  /// Removes what libfaketime leaves of a process that was killed.
  public static func forget(_ pid: pid_t) {
    unlink("/dev/shm/faketime_shm_\(pid)")
    unlink("/dev/shm/sem.faketime_sem_\(pid)")
  }
}
