import Glibc
import Leftovers
import Linux
import Sandbox
import Synchronization

/// Lanes of clients that make sandboxes without end, and deaths at random instants.
func soakRandom(_ world: World, _ options: Options, _ tally: inout Tally) throws {
  let wanted = max(options.kills - tally.kills.values.reduce(0, +), 10 * options.each)
  let environment = options.isOneBuild ? [] : ["BOTBURROW_FAULTS=kill *"]
  let began = ContinuousClock.now
  var done = 0
  while done < wanted {
    let run = try SupervisorRun(world, programs: options.release, environment: environment)
    // Their images are there from now on.
    for lane in ["lane-0", "lane-1"] { try run.control(workspace: lane) }
    let baseline = try run.baseline()
    let lanes = Lanes(run)
    try lanes.start(6)
    for victim in [Victim.launcher, .initProcess, .runner] {
      usleep(UInt32.random(in: 0...30_000))
      if try run.kill(victim, runner: lanes.any()) {
        tally.kills[victim, default: 0] += 1
        done += 1
      }
    }
    tally.leave("random", try lanes.stop())
    tally.leave("after random kills", try run.watched.remains(beyond: baseline, within: .seconds(2)))
    try run.control(workspace: "agent")
    try lanes.start(6)
    usleep(UInt32.random(in: 0...40_000))
    _ = try run.kill(.supervisor, runner: nil)
    tally.kills[.supervisor, default: 0] += 1
    done += 1
    tally.leave("random, supervisor killed", try lanes.stop())
    tally.leave("random, supervisor killed", try run.remainsOfDead())
    tally.sandboxes += lanes.count + 2
    let next = try SupervisorRun(world, programs: options.release, environment: environment)
    tally.leave("random, supervisor killed", try run.remainsAfterNextStart())
    try next.control(workspace: "agent")
    tally.leave("random, at the end", try next.stop())
    progress("random: \(done) of \(wanted) kills, \(tally.sandboxes) sandboxes")
  }
  tally.rows.append(("kills at random instants", "\(done) in \(Int((ContinuousClock.now - began).seconds)) s"))
}

/// Threads that each start one client after the other.
private final class Lanes: Sendable {
  private let run: SupervisorRun
  private let living = Mutex<[pid_t: ProcessHandle]>([:])
  private let isStopping = Atomic<Bool>(false)
  private let started = Atomic<Int>(0)
  private let trouble = Mutex<[String]>([])
  private let gone = Mutex<Descriptor?>(nil)

  init(_ run: SupervisorRun) { self.run = run }

  /// Clients so far.
  var count: Int { started.load(ordering: .relaxed) }

  func start(_ lanes: Int) throws {
    isStopping.store(false, ordering: .releasing)
    let (read, write) = try makePipe()
    for lane in 0..<lanes {
      let mine = try aboveSpawned(write)
      Thread.detach { [self] in
        do { try self.lane(lane) } catch { trouble.withLock { $0.append("\(error)") } }
        mine.close()
      }
    }
    write.close()
    gone.withLock { $0 = read }
  }

  /// One of the clients that live now.
  func any() -> ProcessHandle? { living.withLock { $0.values.randomElement() } }

  /// Waits for the clients under way; what went wrong.
  func stop() throws -> [String] {
    isStopping.store(true, ordering: .releasing)
    if let read = gone.withLock({ $0 }), try !waitReadable([read], timeout: .seconds(60))[0] {
      return ["clients: they hang"]
    }
    return trouble.withLock { trouble in
      defer { trouble = [] }
      return trouble
    }
  }

  private static let commands = [
    ["true"], ["sleep", "0.02"], ["sh", "-c", "sleep 60 & sleep 0.01"], ["sh", "-c", "trap '' TERM; kill -9 $$"],
    ["nothing"],
  ]

  private func lane(_ lane: Int) throws {
    var turn = 0
    while !isStopping.load(ordering: .acquiring) {
      turn += 1
      let command = Self.commands[(lane + turn) % Self.commands.count]
      // A workspace belongs to one sandbox at a time.
      let client = try run.client(command, workspace: lane < 2 ? "lane-\(lane)" : nil)
      started.add(1, ordering: .relaxed)
      living.withLock { $0[client.pid] = client }
      let end = try run.world.wait(for: client, within: .seconds(30))
      living.withLock { _ = $0.removeValue(forKey: client.pid) }
      if end == nil {
        try client.signal(SIGKILL)
        _ = try run.world.wait(for: client, within: .seconds(5))
        throw SoakError("a client hangs at '\(command.joined(separator: " "))'")
      }
    }
  }
}
