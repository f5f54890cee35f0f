import ModelGateway
import Synchronization
import Work

/// How far one activation is: it writes here, its heartbeat tells the queue.
final class ActivationProgress: Sendable {
  private struct State {
    var step = ActivationStep.prepare
    var since: ContinuousClock.Instant
    /// When something last happened.
    var active: ContinuousClock.Instant
    var timeLimit: Duration?
    var model: ModelSession?
    /// Calls of the model that were over at the last look.
    var calls = 0
    /// Opens when there is a step that no heartbeat has told yet.
    var news = Latch()
  }
  private let state: Mutex<State>
  private let now: @Sendable () -> ContinuousClock.Instant

  /// One that begins now.
  init(now: @escaping @Sendable () -> ContinuousClock.Instant) {
    self.now = now
    let begin = now()
    let first = State(since: begin, active: begin)
    first.news.open()
    state = Mutex(first)
  }

  /// Comes to a step.
  func enter(_ step: ActivationStep) {
    let instant = now()
    let news = state.withLock { state -> Latch? in
      guard state.step != step else { return nil }
      (state.step, state.since, state.active) = (step, instant, instant)
      return state.news
    }
    news?.open()
  }

  /// Its sandbox is being made.
  func starts(_ model: ModelSession?, timeLimit: Duration?) {
    state.withLock { ($0.model, $0.timeLimit) = (model, timeLimit) }
    enter(.start)
  }

  /// Hears what an activation does, before whoever looks on.
  func onlooker(before other: (@Sendable (WatchEvent) -> Void)?) -> @Sendable (WatchEvent) -> Void {
    { event in
      switch event {
      case .started: self.enter(.run)
      case .tool:
        let instant = self.now()
        self.state.withLock { $0.active = instant }
      case .prepared, .model, .said: break
      }
      other?(event)
    }
  }

  /// How far it is, to be told now. A call of the model counts as activity as long as it is under way: the gateway bounds it.
  func look() -> LiveState {
    let instant = now()
    return state.withLock { state in
      let calls = state.model?.calls ?? (over: 0, underWay: 0)
      if calls.over != state.calls || calls.underWay > 0 { state.active = instant }
      state.calls = calls.over
      if state.news.isOpen { state.news = Latch() }
      var seen = LiveState(
        step: state.step, inStep: state.since.duration(to: instant), idle: state.active.duration(to: instant))
      seen.tokens = state.model?.usage.total ?? 0
      seen.modelCalls = calls.over
      seen.timeLimit = state.timeLimit
      return seen
    }
  }

  /// Returns when there is a step that no look has seen yet, or the task is cancelled.
  func untilNews() async { await state.withLock { $0.news }.wait() }
}
