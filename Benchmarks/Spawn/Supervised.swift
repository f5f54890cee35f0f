import Glibc
import Linux
import Sandbox
import Synchronization

/// Sandboxes of one profile through a running supervisor.
final class Supervised: Sendable {
  private let socket: String
  private let profile: String
  private let counter = Atomic<Int>(0)

  init(socket: String, profile: String) {
    self.socket = socket
    self.profile = profile
  }

  /// One sandbox, from the connection to the receipt; nothing of it is left then.
  func run(_ arguments: [String]) throws { try end(start(arguments)) }

  /// Asks for one.
  func start(_ arguments: [String]) throws -> SandboxConnection {
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let connection = try SandboxConnection.open(socket)
    let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
    try connection.spawn(
      SandboxRequest(activationID: "bench-\(getpid())-\(number)", profile: profile, arguments: arguments),
      streams: [null, null, null], files: [])
    return connection
  }

  /// Waits until its program runs.
  func awaitStart(_ connection: SandboxConnection) throws {
    while true {
      switch try connection.next() {
      case .started: return
      case .listening: continue
      case .ended(let receipt): throw BenchError("sandbox: \(receipt.exit)")
      }
    }
  }

  /// Waits for its end.
  func end(_ connection: SandboxConnection) throws {
    while true {
      guard case .ended(let receipt) = try connection.next() else { continue }
      if receipt.exit != .exited(code: 0) { throw BenchError("sandbox: \(receipt.exit)") }
      return
    }
  }

  /// Sandboxes a second, over so many seconds, with so many clients at once.
  func sustained(seconds: Double, clients: Int) throws -> Double {
    let finished = Atomic<Int>(0)
    let failure = Mutex<String?>(nil)
    let start = ContinuousClock.now
    let (gone, living) = try makePipe()
    for _ in 0..<clients {
      // Each holds a copy of the pipe's end until it is done.
      let mine = try aboveSpawned(living)
      Thread.detach { [self] in
        do {
          while (ContinuousClock.now - start).seconds < seconds {
            try run(["/bin/true"])
            finished.add(1, ordering: .relaxed)
          }
        } catch { failure.withLock { $0 = "\(error)" } }
        mine.close()
      }
    }
    living.close()
    _ = try waitReadable([gone], timeout: nil)
    if let failure = failure.withLock({ $0 }) { throw BenchError(failure) }
    return Double(finished.load(ordering: .relaxed)) / (ContinuousClock.now - start).seconds
  }
}

/// The C program that measures what the kernel itself takes (Benchmarks/Floor).
final class Floor: Sendable {
  private let input: Descriptor
  private let output: Descriptor

  init(program: String) throws {
    let (commands, input) = try makePipe()
    let (output, answers) = try makePipe()
    _ = try spawn(program, [program], descriptors: [commands, answers, Descriptor.borrowed(2)])
    (self.input, self.output) = (input, output)
  }

  /// One command, one number.
  func ask(_ command: String) throws -> Double {
    try input.write(Array("\(command)\n".utf8))
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while read(output.number, &byte, 1) == 1, byte != 10 { text.append(byte) }
    guard let number = Double(String(decoding: text, as: UTF8.self)) else {
      throw BenchError("the floor program gave no number for '\(command)'")
    }
    return number
  }
}
