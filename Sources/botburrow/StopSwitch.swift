import Synchronization

/// Runs something that ends by the cancellation of its task.
final class StopSwitch: Sendable {
  private let state = Mutex<(task: Task<Void, Never>?, stopped: Bool)>((nil, false))

  /// Runs `body` to its end, which `stop` brings on.
  func run(_ body: @escaping @Sendable () async -> Void) async {
    let task = state.withLock { state -> Task<Void, Never>? in
      if state.stopped { return nil }
      let task = Task { await body() }
      state.task = task
      return task
    }
    await task?.value
  }

  /// Cancels; what is started later doesn't run.
  func stop() async {
    state.withLock { state in
      state.stopped = true
      state.task?.cancel()
    }
  }
}
