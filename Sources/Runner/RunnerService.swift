import Logging
import Observe
import Redis
import Sandbox
import Synchronization
import Work

/// One runner process of one pool: claims while it has a free place, runs each activation as a task of its own, waits without
/// polling, and puts back now and then what others left lying.
public final class RunnerService: Sendable {
  /// Which pool, and how much.
  public struct Options: Sendable, Hashable {
    /// The pool it belongs to; a hybrid runner serves the other lists too.
    public var pool: Pool
    /// `runners.<pool>.max_activations`.
    public var maxActivations: Int
    /// `coordinator.max_concurrent_activations`.
    public var globalCap: Int
    /// An id that no other runner process has.
    public var runnerID: String
    /// Its host's name, for operators.
    public var host = ""
    /// Its process id, for operators.
    public var pid = 0
    /// Of the program, for operators.
    public var version = ""
    /// How often all runners together look for expired leases and due retries.
    public var recoverEvery: Duration = .seconds(1)
    /// How often all runners together look into the outbox.
    public var deliverEvery: Duration = .seconds(1)
    /// The longest wait for work before it looks again anyway.
    public var longestWait: Duration = .seconds(30)
    /// The wait after the queue could not be reached.
    public var waitAfterError: Duration = .seconds(1)

    /// Makes the options of one runner.
    public init(pool: Pool, maxActivations: Int, globalCap: Int, runnerID: String) {
      self.pool = pool
      self.maxActivations = maxActivations
      self.globalCap = globalCap
      self.runnerID = runnerID
    }
  }

  private let queue: WorkQueue
  private let services: RunnerServices
  private let options: Options
  private let slots: Slots
  private let fleet = Fleet()
  private let running = Mutex(0)
  private let reached = Mutex(false)
  /// No more claims.
  private let stopping = Latch()
  /// Activations that still run are given back.
  private let ending = Latch()
  private let outbox: OutboxService

  /// Makes a runner; `run` starts it.
  public init(queue: WorkQueue, services: RunnerServices, options: Options) {
    self.queue = queue
    self.services = services
    self.options = options
    self.slots = Slots(options.maxActivations)
    outbox = OutboxService(
      queue: queue, services: services, every: options.deliverEvery, fleet: fleet, stopping: stopping, ending: ending)
  }

  /// Activations that run in this process now.
  public var active: Int { running.withLock { $0 } }
  /// Whether it takes no more work.
  public var isStopping: Bool { stopping.isOpen }

  /// Whether the queue answered the last time it was asked; for `/readyz`.
  public var reachesQueue: Bool { reached.withLock { $0 } }

  /// Claims and runs until `stop` or the task's cancellation; returns when the last activation is over and its lease given
  /// back or finished. It is on the list of runners until then, or until its task is cancelled.
  public func run() async {
    let registration = Registration(
      queue: queue,
      identity: RunnerIdentity(
        id: options.runnerID, pool: options.pool, slots: options.maxActivations, host: options.host, pid: options.pid,
        version: options.version), every: queue.options.runnerExpiry / 3, fleet: fleet, time: services.time,
      metrics: services.metrics, logger: services.logger)
    let over = Latch()
    async let registered: Void = registration.run(stopping: stopping, over: over)
    await serve()
    over.open()
    await registered
  }

  private func serve() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.recoverNowAndThen() }
      group.addTask { await self.outbox.run() }
      while !stopping.isOpen, !Task.isCancelled {
        if let freed = slots.take() {
          await first(of: { await freed.wait() }, { await self.stopping.wait() })
          continue
        }
        guard let claimed = await claim() else {
          slots.give()
          continue
        }
        count(+1)
        group.addTask {
          await self.work(on: claimed.lease, claimed: claimed.asked)
          self.count(-1)
          self.slots.give()
        }
      }
      // Ends the recovery; on a cancellation nothing else opened it.
      stopping.open()
    }
  }

  /// Takes no more work. What runs has `grace` to end by itself; then its sandboxes are ended and the work goes back to the
  /// queue, not counted as an attempt.
  public func stop(grace: Duration = .seconds(30)) async {
    stopping.open()
    await first(of: { await self.idle() }, { try? await self.services.time.sleep(grace) })
    ending.open()
  }

  private func idle() async {
    while slots.used > 0, !Task.isCancelled { await slots.freed().wait() }
  }

  private func count(_ change: Int) {
    let now = running.withLock { running in
      running += change
      return running
    }
    services.metrics.set("botburrow_active_activations", [("pool", options.pool.rawValue)], to: Double(now))
  }

  /// One claim, and the wait after one that gave nothing.
  private func claim() async -> (lease: Lease, asked: ContinuousClock.Instant)? {
    do {
      let asked = services.time.now()
      let outcome = try await queue.claim(
        options.pool.served, runner: options.runnerID, runnerCap: options.maxActivations, globalCap: options.globalCap)
      reached.withLock { $0 = true }
      services.metrics.increment(
        "botburrow_claims_total", [("pool", options.pool.rawValue), ("result", word(outcome))])
      if case .claimed(let lease) = outcome { return (lease, asked) }
      await first(
        of: { await self.wait(after: outcome) }, { await self.stopping.wait() })
    } catch {
      await failed("claim", error)
    }
    return nil
  }

  private func word(_ outcome: ClaimOutcome) -> String {
    switch outcome {
    case .claimed: "claimed"
    case .empty: "empty"
    case .full: "full"
    case .paused: "paused"
    }
  }

  private func wait(after outcome: ClaimOutcome) async {
    do {
      try await queue.wait(after: outcome, pools: options.pool.served, atMost: options.longestWait)
    } catch {
      await failed("wait", error)
    }
  }

  /// The queue could not be reached: says so and waits a little.
  private func failed(_ operation: String, _ error: RedisError) async {
    if error.kind == .cancelled || Task.isCancelled { return }
    reached.withLock { $0 = false }
    services.metrics.increment("botburrow_redis_errors_total", [("operation", operation)])
    services.logger.error("queue not reached", metadata: ["operation": "\(operation)", "error": "\(error)"])
    let wait = options.waitAfterError
    await first(of: { try? await self.services.time.sleep(wait) }, { await self.stopping.wait() })
  }

  private func recoverNowAndThen() async {
    while !stopping.isOpen, !Task.isCancelled {
      var pause = options.recoverEvery
      do {
        let found = try await queue.recover()
        if let refusal = queue.takeRewriteRefusal() {
          services.metrics.increment("botburrow_redis_errors_total", [("operation", refusal.operation)])
          services.logger.warning("\(WorkQueue.rewriteRefused)", metadata: ["error": "\(refusal)"])
        }
        // Where a runner died, another has its work within seconds of its lease's end, also where no coordinator runs.
        pause = fleet.pause(pause, longest: 1)
        if found.expired + found.dead > 0 {
          services.logger.notice(
            "work put back",
            metadata: ["expired": "\(found.expired)", "retried": "\(found.retried)", "dead": "\(found.dead)"])
          // Some may have had its answer kept.
          outbox.lookSoon()
        }
      } catch {
        await failed("recover", error)
      }
      let wait = pause
      await first(of: { try? await self.services.time.sleep(wait) }, { await self.stopping.wait() })
    }
  }
}

extension RunnerService {
  private enum Event: Sendable {
    case ended(ActivationEnd)
    case leaseLost
    case ending
  }

  /// One activation under its lease: runs it with a heartbeat beside it, and tells the queue what came of it.
  /// - Parameter claimed: the moment before it was asked for.
  private func work(on lease: Lease, claimed: ContinuousClock.Instant) async {
    let queue = self.queue
    let time = services.time
    let logger = services.logger
    let term = { @Sendable (asked: ContinuousClock.Instant) in
      SandboxTerm.of(lease: queue.options.lease, asked: asked, now: time.now)
    }
    let sandboxEnd = SandboxEnd(term: term(claimed))
    let progress = ActivationProgress(now: time.now)
    var services = self.services
    services.watch = progress.onlooker(before: services.watch)
    let activation = Activation(
      task: ActivationTask(lease), services: services, sandboxEnd: sandboxEnd,
      outbox: LeasedOutbox(queue: queue, lease: lease, services: services), progress: progress)
    let heartbeat = Heartbeat(
      lease: queue.options.lease, claimed: claimed, beat: { try await queue.beat(lease, progress.look()) },
      granted: { asked in
        do {
          try sandboxEnd.postpone(to: term(asked))
        } catch {
          // The connection is gone: the activation is about to tell with what.
          logger.warning("the supervisor was not told of the lease", metadata: ["error": "\(error)"])
        }
      }, news: { await progress.untilNews() }, time: time, logger: logger)
    var lost = false
    var ended: ActivationEnd?
    await withTaskGroup(of: Event.self) { group in
      group.addTask { .ended(await activation.perform()) }
      group.addTask {
        await heartbeat.run()
        return .leaseLost
      }
      group.addTask {
        await self.ending.wait()
        return .ending
      }
      // The first event decides; the others are given up, and the activation's own end is waited for.
      if case .leaseLost = await group.next().map({ keep($0, &ended) }) { lost = !Task.isCancelled && ended == nil }
      group.cancelAll()
      for await event in group { _ = keep(event, &ended) }
    }
    guard var end = ended else { return }
    if lost, end.failure != nil {
      end.failure = .lost
      services.metrics.increment("botburrow_lost_leases_total", [("pool", options.pool.rawValue)])
    }
    await conclude(activation, end, lease)
  }

  private func keep(_ event: Event, _ ended: inout ActivationEnd?) -> Event {
    if case .ended(let end) = event { ended = end }
    return event
  }

  private func conclude(_ activation: Activation, _ end: ActivationEnd, _ lease: Lease) async {
    let queue = self.queue
    let isStopped = ending.isOpen || Task.isCancelled
    let attempt = lease.attempt
    activation.close(end)
    // Not a child of a task that may be cancelled: a lease that is not given back is waited for.
    let told = Task { () throws(RedisError) -> Bool in
      switch (end.failure, end.outbox) {
      case (let failure?, _) where failure.status == .lost: true
      case (_, .waiting(let after)?): try await queue.finish(lease, .delivering(after: after))
      case (nil, _), (_, .delivered?): try await queue.finish(lease, .done)
      case (let failure?, nil) where failure.status == .cancelled && isStopped: try await queue.release(lease)
      case (let failure?, nil):
        try await queue.finish(lease, Verdict.outcome(of: failure, attempt: attempt, jitter: services.jitter()))
      }
    }
    do {
      if try await !told.value {
        services.logger.warning("finish refused: the lease is somebody else's", metadata: activation.metadata)
      }
      if case .waiting = end.outbox { outbox.lookSoon() }
    } catch {
      services.metrics.increment("botburrow_redis_errors_total", [("operation", "finish")])
      services.logger.error(
        "finish not delivered; the work is tried again when its lease ends",
        metadata: activation.metadata.merging(["error": "\(error)"]) { $1 })
    }
  }
}
