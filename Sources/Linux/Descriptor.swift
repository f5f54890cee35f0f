import CLinux
import Glibc
import Synchronization

/// An open file, closed with its last reference.
///
/// The optimizer may let go of an object right after its last use, and reading `number` is a use: hand on the object, not
/// the number, and let the function that makes the system call keep it alive (`withExtendedLifetime`). Otherwise the call
/// may reach whatever another thread has opened under the same number.
public final class Descriptor: Sendable {
  /// The number, valid as long as this object lives.
  public let number: Int32

  /// Somebody else's descriptor (0, 1, 2): it is not closed here.
  public static func borrowed(_ number: Int32) -> Descriptor {
    let descriptor = Descriptor(owning: number)
    _ = descriptor.release()
    return descriptor
  }

  /// Takes ownership of an open descriptor.
  public init(owning number: Int32) { self.number = number }
  deinit { close() }
  private let isOpen = Atomic<Bool>(true)

  /// Closes it before its last reference is gone: for ends of pipes whose reader waits for the end. Its number must not
  /// be used any more.
  public func close() {
    if isOpen.exchange(false, ordering: .acquiringAndReleasing) && number >= 0 { Glibc.close(number) }
  }

  /// Gives the number to somebody who closes it from now on.
  public func release() -> Int32 {
    _ = isOpen.exchange(false, ordering: .acquiringAndReleasing)
    return number
  }

  /// open(2), always close-on-exec.
  public static func open(_ path: String, _ flags: Int32 = O_RDONLY, mode: Int32 = 0o600) throws(LinuxError)
    -> Descriptor
  {
    Descriptor(owning: try check(cl_open(path, flags, mode), "open", path))
  }

  /// A new file in the place of whatever had its name: a link that somebody put there is removed, not followed.
  public static func replacing(_ path: String, mode: Int32) throws(LinuxError) -> Descriptor {
    if unlink(path) < 0 && errno != ENOENT { throw LinuxError.last("unlink", path) }
    return try open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
  }

  /// A file in memory that nobody can change any more (memfd_create(2), F_ADD_SEALS).
  public static func sealed(_ bytes: some Collection<UInt8>, name: String) throws(LinuxError) -> Descriptor {
    try seal(bytes, in: try check(cl_memfd_create(name), "memfd_create", name), name)
  }

  /// A program in memory that nobody can change any more: a sandbox that finds a way to its own program's file can't
  /// rewrite what the next one runs (CVE-2019-5736).
  public static func sealedProgram(_ path: String, name: String) throws(LinuxError) -> Descriptor {
    let content = try Descriptor.open(path).readAll(limit: 64 << 20)
    return try seal(content, in: try check(cl_memfd_program(name), "memfd_create", name), name)
  }

  private static func seal(
    _ bytes: some Collection<UInt8>, in number: Int32, _ name: String
  ) throws(LinuxError) -> Descriptor {
    let file = Descriptor(owning: number)
    try file.write(bytes)
    try check(cl_seal(file.number), "fcntl F_ADD_SEALS", name)
    return file
  }

  /// Whether every seal is set, so that its sender can't change it behind our back.
  public var isSealed: Bool {
    defer { withExtendedLifetime(self) {} }
    let seals = cl_seals(number)
    // What can't be sealed at all answers -1, which has every bit.
    return seals >= 0 && seals & cl_all_seals() == cl_all_seals()
  }

  /// Writes everything.
  public func write(_ bytes: some Collection<UInt8>) throws(LinuxError) {
    defer { withExtendedLifetime(self) {} }
    let failure: Int32? = Array(bytes).withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = Glibc.write(number, buffer.baseAddress?.advanced(by: written), buffer.count - written)
        if count < 0 && errno == EINTR { continue }
        if count < 0 { return errno }
        written += count
      }
      return nil
    }
    if let failure { throw LinuxError("write", "descriptor \(number)", code: failure) }
  }

  /// lseek(2) to the beginning.
  public func rewind() throws(LinuxError) {
    defer { withExtendedLifetime(self) {} }
    try check(lseek(number, 0, SEEK_SET), "lseek", "descriptor \(number)")
  }

  /// One write(2), as files of /proc and cgroupfs want it; `object` names the file in errors.
  func writeAtOnce(_ text: String, _ object: String) throws(LinuxError) {
    defer { withExtendedLifetime(self) {} }
    let bytes = Array(text.utf8)
    let count = bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
    try check(count, "write", "\(object) ('\(text)')")
  }

  /// Reads to the end, at most `limit` bytes; more is EFBIG.
  public func readAll(limit: Int) throws(LinuxError) -> [UInt8] {
    defer { withExtendedLifetime(self) {} }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(number, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      try check(count, "read", "descriptor \(number)")
      if count == 0 { return content }
      content.append(contentsOf: buffer[..<count])
      if content.count > limit { throw LinuxError("read", "descriptor \(number)", code: EFBIG) }
    }
  }
}

/// A pipe with both ends close-on-exec.
public func makePipe() throws(LinuxError) -> (read: Descriptor, write: Descriptor) {
  var ends: [Int32] = [-1, -1]
  try check(cl_pipe2(&ends, O_CLOEXEC), "pipe2", "")
  return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
}

/// A whole small file, such as one of /proc.
public func readFile(_ path: String, limit: Int = 1 << 20) throws(LinuxError) -> String {
  String(decoding: try Descriptor.open(path).readAll(limit: limit), as: UTF8.self)
}

/// Writes to a file that is there, in one write(2), as /proc and cgroupfs want it.
public func writeFile(_ path: String, _ text: String) throws(LinuxError) {
  try Descriptor.open(path, O_WRONLY).writeAtOnce(text, path)
}
