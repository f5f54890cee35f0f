import Redis
import Synchronization

/// Where runners wait for work, and coordinators for a leader's end, without polling.
///
/// `BLMOVE k k RIGHT RIGHT t` waits for the head of a list and moves nothing: the order stays, a plain LPUSH wakes it, and a
/// consumer that waits with a plain BRPOP gets its turn. Each list has a connection of its own, because Redis takes no second
/// command from a client that it blocks; a wait that its caller gave up is left to end by itself and serves the next caller.
///
/// The end of a pause is an entry of a stream, which wakes all that wait for one after the last that they know of, however many and
/// however late: nobody takes it away, and nobody is woken by it twice.
final class WaitingRoom: Sendable {
  private struct State {
    var connections: [String: RedisConnection] = [:]
    var armed: Set<Door> = []
    var waiting: [UInt64: Waiter] = [:]
    var lastID: UInt64 = 0
    var isClosed = false
  }
  private enum Door: Hashable {
    case list(String)
    /// After an entry of the stream.
    case resume(after: String)

    /// What its connection is for.
    var key: String { if case .list(let list) = self { list } else { "botburrow:resumed" } }

    func command(_ round: Duration) -> [RedisArgument] {
      let key = RedisArgument(key)
      return switch self {
      case .list: ["BLMOVE", key, key, "RIGHT", "RIGHT", RedisArgument(seconds(round))]
      case .resume(let last):
        ["XREAD", "BLOCK", RedisArgument(round.milliseconds), "STREAMS", key, RedisArgument(last)]
      }
    }
  }
  private struct Waiter {
    var doors: Set<Door>
    var continuation: CheckedContinuation<Result<Bool, RedisError>, Never>
  }
  private let connect: @Sendable () -> RedisConnection
  private let state = Mutex(State())
  /// How long one command waits on the server before it is sent again. A connection that died without a word is noticed when its
  /// round and the time for a command are over.
  private static let round = Duration.seconds(10)
  /// How often to look where the server is too full to wait at.
  private static let lookWhileFull = Duration.seconds(1)
  private static let bell = "botburrow:bell"

  init(connect: @escaping @Sendable () -> RedisConnection) { self.connect = connect }

  func close() {
    let connections = state.withLock { state in
      state.isClosed = true
      return Array(state.connections.values)
    }
    for connection in connections { connection.close() }
  }

  /// True as soon as one of the lists has a head, or something was resumed after that entry of the stream; false after `limit`.
  func wait(
    forHeadOf lists: [String], orResumeAfter last: String?, atMost limit: Duration
  ) async throws(RedisError) -> Bool {
    let doors = Set(lists.map { Door.list($0) } + (last.map { [.resume(after: $0)] } ?? []))
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    let deadline = ContinuousClock.now + limit
    let timer = Task {
      do { try await Task.sleep(until: deadline) } catch { return }
      self.answer(id, .success(false))
    }
    defer { timer.cancel() }
    let result: Result<Bool, RedisError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let arm = state.withLock { state in
          state.waiting[id] = Waiter(doors: doors, continuation: continuation)
          let new = doors.subtracting(state.armed)
          state.armed.formUnion(new)
          return new
        }
        for door in arm { Task { await self.watch(door) } }
        // Both may have come before the waiter was there to find.
        if Task.isCancelled { self.answer(id, .failure(self.cancelled)) }
        if ContinuousClock.now >= deadline { self.answer(id, .success(false)) }
      }
    } onCancel: {
      self.answer(id, .failure(self.cancelled))
    }
    return try result.get()
  }

  /// True when the bell rang: the end of some activation left a slot free. Takes the ring, so that one slot wakes one runner.
  func waitForBell(atMost limit: Duration) async throws(RedisError) -> Bool {
    let reply = try await connection(for: Self.bell).blockingCommand(
      ["BRPOP", RedisArgument(Self.bell), RedisArgument(seconds(limit))], wait: limit)
    return !reply.isNull
  }

  private func watch(_ door: Door) async {
    while true {
      let result: Result<Bool, RedisError>
      do {
        let reply = try await connection(for: door.key).blockingCommand(door.command(Self.round), wait: Self.round)
        result = .success(!reply.isNull)
      } catch  where error.isFull {
        // BLMOVE could store something, so a full server refuses it. What lies in the lists may still be claimed: look now and then.
        do {
          try await Task.sleep(for: Self.lookWhileFull)
          result = .success(true)
        } catch {
          result = .failure(cancelled)
        }
      } catch {
        result = .failure(error)
      }
      let (woken, again) = state.withLock { state -> ([Waiter], Bool) in
        let waiters = state.waiting.filter { $0.value.doors.contains(door) }
        if case .success(false) = result, !waiters.isEmpty, !state.isClosed { return ([], true) }
        for id in waiters.keys { state.waiting[id] = nil }
        state.armed.remove(door)
        return (Array(waiters.values), false)
      }
      for waiter in woken { waiter.continuation.resume(returning: result) }
      if !again { return }
    }
  }

  private func answer(_ id: UInt64, _ result: Result<Bool, RedisError>) {
    state.withLock { $0.waiting.removeValue(forKey: id) }?.continuation.resume(returning: result)
  }

  private func connection(for key: String) -> RedisConnection {
    state.withLock { state in
      if let known = state.connections[key] { return known }
      let made = connect()
      if state.isClosed { made.close() }
      state.connections[key] = made
      return made
    }
  }

  private var cancelled: RedisError {
    RedisError(kind: .cancelled, operation: "BLMOVE", endpoint: "the work lists", reason: "")
  }
}

/// Redis takes seconds with a fraction; 0 would mean "for ever".
private func seconds(_ duration: Duration) -> String {
  let milliseconds = max(duration.milliseconds, 1)
  let fraction = String(milliseconds % 1000)
  return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.utf8.count) + fraction
}
