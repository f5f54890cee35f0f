import Glibc
import Leftovers
import Linux
import Sandbox
import Synchronization

/// Many sandboxes of one supervisor: half of them one after the other, half eight at a time. Its memory must not grow.
func soakRow(_ world: World, _ options: Options, _ tally: inout Tally) throws {
  // Where this is another build than the debug one, the variable must mean nothing to it.
  let environment = options.isOneBuild ? [] : ["BOTBURROW_FAULTS=kill *"]
  let run = try SupervisorRun(world, programs: options.release, environment: environment)
  let row = SandboxRow(socket: run.socket)
  // The first ones pay for what stays: threads' arenas, the profile's root, sets of the packet filter.
  let warm = min(500, options.sandboxes)
  try row.run(warm / 2, lanes: 1)
  try row.run(warm - warm / 2, lanes: 8)
  let before = try run.baseline()
  let memory = try settledMemory(run)
  var most = memory
  let began = ContinuousClock.now
  var done = 0
  while done < options.sandboxes {
    let count = min(500, options.sandboxes - done)
    try row.run(count, lanes: done < options.sandboxes / 2 ? 1 : 8)
    done += count
    most = max(most, try run.watched.privateMemory())
    progress("in a row: \(done) of \(options.sandboxes)")
  }
  let seconds = (ContinuousClock.now - began).seconds
  tally.sandboxes += warm + done
  tally.leave("after \(done) in a row", try run.watched.remains(beyond: before, within: .seconds(2)))
  let last = try settledMemory(run)
  // Of the short form the first few kilobytes would be more than the limit.
  let growth = Double(last - memory) / Double(memory) * 100
  if growth > 5, last - memory > 256 {
    tally.leave("after \(done) in a row", ["memory: \(last) KB instead of \(memory)"])
  }
  tally.rows += [
    ("sandboxes in a row, half of them 8 at a time", "\(done) in \(Int(seconds)) s"),
    ("supervisor's private memory after \(warm), KB", "\(memory)"),
    ("the most of it on the way, KB", "\(most)"),
    ("the same after \(done) more, KB", "\(last) (\(Int((growth * 10).rounded())) ‰)"),
  ]
  tally.leave("at the supervisor's end", try run.stop())
  tally.leave("row", run.complaints)
}

/// The least of a few looks: threads that have just ended still hold their stacks.
private func settledMemory(_ run: SupervisorRun) throws -> Int {
  var least = Int.max
  for _ in 0..<10 {
    usleep(20_000)
    least = min(least, try run.watched.privateMemory())
  }
  return least
}

private final class SandboxRow: Sendable {
  private let socket: String
  private let counter = Atomic<Int>(0)

  init(socket: String) { self.socket = socket }

  func run(_ count: Int, lanes: Int) throws {
    let left = Atomic<Int>(count)
    let failure = Mutex<String?>(nil)
    let (gone, living) = try makePipe()
    for _ in 0..<lanes {
      // Each holds a copy of the pipe's end until it is done.
      let mine = try aboveSpawned(living)
      Thread.detach { [self] in
        do {
          while left.wrappingSubtract(1, ordering: .relaxed).newValue >= 0 { try one() }
        } catch { failure.withLock { $0 = "\(error)" } }
        mine.close()
      }
    }
    living.close()
    if try !waitReadable([gone], timeout: .seconds(120))[0] { throw SoakError("\(count) sandboxes don't end") }
    if let failure = failure.withLock({ $0 }) { throw SoakError(failure) }
  }

  /// Every tenth has a file and a listener.
  private func one() throws {
    let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let connection = try SandboxConnection.open(socket)
    let isFull = number % 10 == 0
    try connection.spawn(
      SandboxRequest(
        activationID: "row-\(number)", profile: "default", arguments: ["/bin/true"],
        listeners: isFull ? [.init(name: "hub", port: 8080)] : [], files: isFull ? [.init(path: "note")] : []),
      streams: [null, null, null], files: isFull ? [[1]] : [])
    while true {
      guard case .ended(let receipt) = try connection.next() else { continue }
      if receipt.exit != .exited(code: 0) { throw SoakError("sandbox \(number): \(receipt.exit)") }
      return
    }
  }
}
