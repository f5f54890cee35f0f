import Glibc
import Linux
import Synchronization

/// What runs in the sandboxes: each takes one thing up to a limit, says so, and waits for the end of its standard input.
enum Inside {
  static func run(_ words: [String]) -> Int32 {
    switch (words.first, words.dropFirst().first.flatMap { Int($0) }) {
    case ("wait", _): said("waiting")
    case ("hold", let bytes?): hold(bytes)
    case ("spin", let threads?): spin(threads)
    case ("fork", let most?): fork(most)
    case ("bomb", _): bomb()
    case ("write", let bytes?):
      return timed("wrote") { () throws(LinuxError) in try write(bytes, to: words.last ?? "") }
    case ("read", let bytes?): return timed("read") { () throws(LinuxError) in try read(bytes, from: words.last ?? "") }
    default:
      said("no such program: \(words)")
      return 2
    }
    return 0
  }

  /// Says where it is and waits for the word to go.
  private static func said(_ text: String) {
    standardOutput(text + "\n")
    var byte: UInt8 = 0
    while Glibc.read(0, &byte, 1) > 0 {}
  }

  /// Takes memory that is really there: each page is written to.
  private static func hold(_ bytes: Int) {
    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { return said("mmap: \(errorName(errno))") }
    for offset in stride(from: 0, to: bytes, by: 4096) {
      memory.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
    }
    said("holding")
  }

  private static let turns = Atomic<Int>(0)
  private static func spin(_ threads: Int) {
    // The compiler removes a loop that does nothing.
    for _ in 0..<threads { Thread.detach { while true { turns.wrappingAdd(1, ordering: .relaxed) } } }
    said("spinning")
  }

  /// Once told to, starts processes until the kernel has no more for us, at most `most`.
  private static func fork(_ most: Int) {
    standardOutput("ready\n")
    _ = readLine()
    var started = 0
    while started < most {
      do throws(LinuxError) {
        _ = try spawn("/usr/bin/sleep", ["sleep", "10000"], descriptors: [])
        started += 1
      } catch { return said("started \(started), then \(errorName(error.code))") }
    }
    said("started \(started)")
  }

  /// Once told to, throws one fork bomb after the other: each goes out where the kernel has no more for it.
  private static func bomb() -> Never {
    standardOutput("ready\n")
    _ = readLine()
    while true {
      _ = try? spawn("/bin/sh", ["sh", "-c", "bomb() { bomb | bomb & }; bomb 2>/dev/null"], descriptors: [])
      reapFinished()
    }
  }

  private static func reapFinished() { while waitpid(-1, nil, WNOHANG) > 0 {} }

  /// Says how long something took, in milliseconds.
  private static func timed(_ done: String, _ body: () throws(LinuxError) -> Void) -> Int32 {
    let start = ContinuousClock.now
    do throws(LinuxError) {
      try body()
      said("\(done) in \((ContinuousClock.now - start).milliseconds)")
      return 0
    } catch {
      said("\(error)")
      return 1
    }
  }

  /// Through to the disk.
  private static func write(_ bytes: Int, to path: String) throws(LinuxError) {
    let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
    defer { withExtendedLifetime(file) {} }
    let block = [UInt8](repeating: 7, count: 256 << 10)
    for _ in 0..<(bytes / block.count) {
      try file.write(block)
      if fdatasync(file.number) < 0 { throw LinuxError.last("fdatasync", path) }
    }
  }

  private static func read(_ bytes: Int, from path: String) throws(LinuxError) {
    let file = try Descriptor.open(path)
    defer { withExtendedLifetime(file) {} }
    var block = [UInt8](repeating: 0, count: 256 << 10)
    var left = bytes
    while left > 0 {
      let count = Glibc.read(file.number, &block, block.count)
      if count <= 0 { throw LinuxError.last("read", path, advice: "\(left) bytes are missing") }
      left -= count
    }
  }
}
