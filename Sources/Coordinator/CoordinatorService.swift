import Agents
import Configuration
import Hub
import Logging
import Observe
import Redis
import Synchronization
import Work

/// One coordinator: campaigns for the leader's lock and, while it leads, polls the Hub, queues work and keeps the staleness
/// schedule. Leading or not, it puts back work whose runner died, and shows the queue's depth and what is wrong with runners and
/// activations.
///
/// Everything that must survive it is in Redis; several may run, and one leads. Nothing that the Hub, Redis or a definition does
/// ends `run()`: errors are logged with their sentence, counted, and tried again.
public final class CoordinatorService: Sendable {
  /// Tests shorten these.
  public struct Timing: Sendable, Hashable {
    /// How long the lock outlives a leader that died.
    public var leaderTTL: Duration = .seconds(10)
    /// How often one that does not lead tries to; sooner when a leader gives the lock up.
    public var campaignInterval: Duration = .seconds(1)
    /// How often expired leases are looked for.
    public var maintenanceInterval: Duration = .seconds(2)
    /// How often the queue, runners and activations are looked at and gauges are set.
    public var watchInterval: Duration = .seconds(5)
    /// How often the staleness schedule is looked at.
    public var stalenessInterval: Duration = .seconds(10)
    /// The shortest rest between two walks through the definitions; a rest is at least ten times as long as the walk was.
    public var censusInterval: Duration = .seconds(30)
    /// The values given above.
    public init() {}
  }
  struct State {
    var lastPollAt: Double?
    var unknownAgents: Set<String> = []
    var unreadable: Set<String> = []
    var redisTrouble: String?
    var redisIsFull = false
  }

  let configuration: Configuration
  let queue: WorkQueue
  let hub: any HubAPI
  let cache: DefinitionCache
  let budgets: BudgetCache
  let metrics: Metrics
  let logger: Logger
  let leader: Leader
  let timing: Timing
  let now: @Sendable () -> Double
  let makeID: @Sendable () -> String
  let jitter: @Sendable () -> Double
  let state = Mutex(State())

  /// - Parameters:
  ///   - now: seconds since 1970.
  ///   - makeID: makes activation ids.
  ///   - jitter: chance for back-off, from 0 to 1.
  public init(
    configuration: Configuration, queue: WorkQueue, hub: any HubAPI, definitions: any DefinitionSource,
    metrics: Metrics,
    logger: Logger, timing: Timing = Timing(), now: @escaping @Sendable () -> Double = { WallClock.now },
    makeID: @escaping @Sendable () -> String = ActivationID.random,
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.configuration = configuration
    self.queue = queue
    self.hub = hub
    self.metrics = metrics
    self.logger = logger
    self.timing = timing
    self.now = now
    self.makeID = makeID
    self.jitter = jitter
    cache = DefinitionCache(definitions, metrics: metrics, logger: logger)
    budgets = BudgetCache(hub, metrics: metrics, logger: logger)
    leader = Leader(queue, ttl: timing.leaderTTL)
  }

  /// Whether this coordinator leads, as far as its own clock can tell.
  public var isLeader: Bool { leader.fence != nil }
  /// When the Hub was last polled with success, seconds since 1970; nil: not yet.
  public var lastPollAt: Double? { state.withLock { $0.lastPollAt } }

  /// What is kept of this agent's definition, or of all, may be old: the next look finds out.
  public func invalidate(_ agentID: String?) async { await cache.invalidate(agentID) }

  /// Redis's last error, as long as it lasts; nil while it answers.
  public var redisTrouble: String? { state.withLock { $0.redisTrouble } }

  /// Runs until its task is cancelled; then it gives the lock up, so that another leads at once.
  public func run() async {
    let (terms, term) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await self.campaign { term.yield() }
        term.finish()
      }
      group.addTask { for await _ in terms { await self.lead() } }
      group.addTask { await self.maintain() }
      group.addTask { await self.watch() }
    }
    do { try await leader.resign() } catch {
      logger.warning("leadership was not handed over; it runs out by itself", metadata: ["error": "\(error)"])
    }
    metrics.set("botburrow_leader", to: 0)
  }

  private func campaign(_ elected: () -> Void) async {
    var led: Fence?
    while !Task.isCancelled {
      var hasAnswer = true
      do throws(RedisError) {
        let fence = try await leader.campaign()
        redisAnswered()
        // At each renewal: the term's loops may have ended because a slow renewal let their clock run out.
        if fence != nil { elected() }
        if let fence, fence != led {
          logger.notice("this coordinator leads", metadata: ["epoch": "\(fence.epoch)"])
        } else if fence == nil, led != nil {
          logger.warning("another coordinator leads now")
        }
        led = fence
      } catch {
        redisFailed(error)
        hasAnswer = false
        if leader.fence == nil { led = nil }
      }
      metrics.set("botburrow_leader", to: leader.fence == nil ? 0 : 1)
      if led != nil {
        await pause(min(timing.leaderTTL / 3, .seconds(3)))
      } else if hasAnswer {
        await waitForVacancy()
      } else {
        await pause(timing.campaignInterval)
      }
    }
  }

  /// Until it is time to campaign again.
  private func waitForVacancy() async {
    let limit = ContinuousClock.now + timing.campaignInterval
    // What went wrong here the next campaign finds too, and tells.
    do { try await leader.waitForVacancy(atMost: timing.campaignInterval) } catch { await pause(until: limit) }
  }

  /// One term: ends with the leadership, for all as soon as one finds it over. A loop that slept while it was lost and won again
  /// would find nothing amiss, and hold up the next term, in which the others start anew.
  private func lead() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.pollWhileLeading() }
      group.addTask { await self.exploreWhileLeading() }
      group.addTask { await self.countWhileLeading() }
      await group.next()
      group.cancelAll()
    }
  }

  private func exploreWhileLeading() async {
    while !Task.isCancelled, let fence = leader.fence {
      let next = ContinuousClock.now + timing.stalenessInterval
      do {
        try await explore(fence)
        try await readAhead()
      } catch  where Task.isCancelled {
        return
      } catch let error as RedisError {
        redisFailed(error)
      } catch is Deposed {
        await pause(timing.campaignInterval)
      } catch {
        logger.warning("the staleness schedule was not looked at", metadata: ["error": "\(error)"])
      }
      await pause(until: next)
    }
  }

  private func countWhileLeading() async {
    while !Task.isCancelled, let fence = leader.fence {
      let started = ContinuousClock.now
      do {
        try await census(fence)
        await cache.listed()
      } catch  where Task.isCancelled {
        return
      } catch let error as RedisError {
        redisFailed(error)
      } catch is Deposed {
        await pause(timing.campaignInterval)
      } catch {
        await cache.listingFailed(error)
      }
      await pause(max(timing.censusInterval, started.duration(to: .now) * 10))
    }
  }

  private func maintain() async {
    while !Task.isCancelled {
      do throws(RedisError) {
        let recovery = try await queue.recover()
        if let refusal = queue.takeRewriteRefusal() {
          metrics.increment("botburrow_redis_errors_total", [("operation", refusal.operation)])
          logger.warning("\(WorkQueue.rewriteRefused)", metadata: ["error": "\(refusal)"])
        }
        if recovery != WorkQueue.Recovery(expired: 0, retried: 0, dead: 0) {
          logger.notice(
            "work was put back",
            metadata: [
              "expired": "\(recovery.expired)", "retried": "\(recovery.retried)", "dead": "\(recovery.dead)",
            ])
        }
        redisAnswered()
      } catch {
        redisFailed(error)
      }
      await pause(timing.maintenanceInterval)
    }
  }

  // MARK: Trouble

  func hubFailed(_ error: HubError) {
    // The operation without its query: a cursor would make a series of its own.
    let operation = String(error.operation.prefix { $0 != "?" })
    metrics.increment(
      "botburrow_hub_errors_total", [("operation", operation), ("status", error.status.map { "\($0)" } ?? "none")])
    logger.warning("the Hub failed", metadata: ["error": "\(error)"])
  }

  /// Logs the first of a row of failures, and each that is another's. A full Redis is one that answers, and the rest of the
  /// coordinator's work goes on.
  func redisFailed(_ error: RedisError) {
    metrics.increment("botburrow_redis_errors_total", [("operation", error.operation)])
    if error.isFull {
      let isNew = state.withLock { state in
        defer { state.redisIsFull = true }
        return !state.redisIsFull
      }
      if isNew { logger.error("Redis is full: nothing new is queued", metadata: ["error": "\(error)"]) }
      return
    }
    let isNew = state.withLock { state in
      defer { state.redisTrouble = error.description }
      return state.redisTrouble != error.description
    }
    if isNew { logger.error("Redis failed", metadata: ["error": "\(error)"]) }
  }

  /// New work was queued.
  func redisTookWork() {
    let was = state.withLock { state in
      defer { state.redisIsFull = false }
      return state.redisIsFull
    }
    if was { logger.notice("Redis has room again") }
  }

  private func redisAnswered() {
    let was = state.withLock { state in
      defer { state.redisTrouble = nil }
      return state.redisTrouble
    }
    if was != nil { logger.notice("Redis answers again") }
  }

  func pause(_ duration: Duration) async { await pause(until: .now + duration) }

  /// Returns early when the task is cancelled; every loop looks at that.
  func pause(until instant: ContinuousClock.Instant) async {
    do { try await Task.sleep(until: instant) } catch { return }
  }
}

/// Another coordinator leads: whatever was decided is not written.
struct Deposed: Error {}
