import Synchronization

/// Something that happens once; any number may wait for it.
final class Latch: Sendable {
  private struct State {
    var isOpen = false
    var lastID = 0
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
  }
  private let state = Mutex(State())

  var isOpen: Bool { state.withLock { $0.isOpen } }

  /// Wakes all who wait, and everybody later at once.
  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns when it is open or the task is cancelled, whichever comes first.
  func wait() async {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let passes = state.withLock { state in
          // A cancellation that came before this point found nobody to wake.
          if state.isOpen || Task.isCancelled { return true }
          state.waiting[id] = continuation
          return false
        }
        if passes { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
    }
  }
}

/// Something that happens again and again; whoever looks is woken by the next time only.
final class Nudge: Sendable {
  private let latch = Mutex(Latch())

  /// Opens with the next nudge.
  var next: Latch { latch.withLock { $0 } }

  func give() {
    let waiting = latch.withLock { latch in
      defer { latch = Latch() }
      return latch
    }
    waiting.open()
  }
}

/// The free places of one runner process.
final class Slots: Sendable {
  private struct State {
    var used = 0
    var freed: Latch?
  }
  let limit: Int
  private let state = Mutex(State())

  init(_ limit: Int) { self.limit = max(limit, 1) }

  var used: Int { state.withLock { $0.used } }

  /// Takes a place, or gives the latch that opens when one is free.
  func take() -> Latch? {
    state.withLock { state in
      guard state.used >= limit else {
        state.used += 1
        return nil
      }
      let latch = state.freed ?? Latch()
      state.freed = latch
      return latch
    }
  }

  /// Opens when the next place becomes free.
  func freed() -> Latch {
    state.withLock { state in
      let latch = state.freed ?? Latch()
      // Nothing is left to become free.
      if state.used == 0 { latch.open() } else { state.freed = latch }
      return latch
    }
  }

  func give() {
    let freed = state.withLock { state in
      state.used -= 1
      defer { state.freed = nil }
      return state.freed
    }
    freed?.open()
  }
}

/// Waits for the first of several things and gives the others up.
func first(of waits: (@Sendable () async -> Void)...) async {
  await withTaskGroup { group in
    for wait in waits { group.addTask { await wait() } }
    await group.next()
    group.cancelAll()
  }
}

/// Runs `body` to its end also where the task is cancelled meanwhile: of that it hears by the latch, and what it has to bring
/// to an end isn't cancelled under its hands.
func toItsEnd<Value: Sendable>(_ body: @escaping @Sendable (_ cancelled: Latch) async -> Value) async -> Value {
  let cancelled = Latch()
  let whole = Task { await body(cancelled) }
  return await withTaskCancellationHandler {
    await whole.value
  } onCancel: {
    cancelled.open()
  }
}
