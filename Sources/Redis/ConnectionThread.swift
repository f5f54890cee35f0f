import CHiredis
import Glibc

/// The thread behind one connection: takes jobs in order, connects when it must, and can be interrupted.
///
/// `@unchecked Sendable`: `lock` guards every stored variable; the socket lives on the thread's own stack, and others
/// reach it only as `descriptor`, which is cleared under the lock before the socket is closed.
final class ConnectionThread: @unchecked Sendable {
  typealias Continuation = CheckedContinuation<Result<RedisValue, RedisError>, Never>
  struct Job: Sendable {
    var id: UInt64
    var arguments: [RedisArgument]
    /// How long the server itself may block; nil for an ordinary command.
    var wait: Duration?
    var cancellable: Bool
    /// Sends nothing: waits for what the server says by itself, on the connection that is there.
    var listens: Bool { arguments.isEmpty }
    var name: String { arguments.first.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "listening" }
  }

  private let url: RedisURL
  private let commandTimeout: Duration
  private let backoff: Backoff
  private let jitter: @Sendable () -> Double

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var jobs: [Job] = []
  private var continuations: [UInt64: Continuation] = [:]
  private var lastID: UInt64 = 0
  private var running: UInt64?
  private var descriptor: Int32 = -1
  private var isClosed = false

  init(url: RedisURL, commandTimeout: Duration, backoff: Backoff, jitter: @escaping @Sendable () -> Double) {
    self.url = url
    self.commandTimeout = commandTimeout
    self.backoff = backoff
    self.jitter = jitter
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(wake, &attributes)
    pthread_condattr_destroy(&attributes)
  }
  deinit {
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(lock)
    wake.deallocate()
    lock.deallocate()
  }

  // MARK: From any task

  func start() {
    var id = pthread_t()
    let failure = pthread_create(
      &id, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ConnectionThread>.fromOpaque(argument).takeRetainedValue().main()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    guard failure == 0 else {
      Unmanaged.passUnretained(self).release()
      close()
      return
    }
    pthread_detach(id)
  }

  func nextID() -> UInt64 {
    locked {
      lastID += 1
      return lastID
    }
  }

  func submit(_ job: Job, _ continuation: Continuation) {
    let accepted = locked {
      guard !isClosed else { return false }
      jobs.append(job)
      continuations[job.id] = continuation
      pthread_cond_signal(wake)
      return true
    }
    if !accepted { continuation.resume(returning: .failure(failure(.closed, job, ""))) }
  }

  /// Answers the job's task at once; a job that is on the wire has its socket shut down, so that the thread comes back.
  func cancel(_ id: UInt64) {
    let continuation = locked {
      jobs.removeAll { $0.id == id }
      if running == id {
        if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_RDWR)) }
        pthread_cond_signal(wake)
      }
      return continuations.removeValue(forKey: id)
    }
    continuation?.resume(
      returning: .failure(
        RedisError(kind: .cancelled, operation: "a blocking command", endpoint: url.endpoint, reason: "")))
  }

  func close() {
    let waiting = locked {
      isClosed = true
      if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_RDWR)) }
      pthread_cond_signal(wake)
      jobs = []
      defer { continuations = [:] }
      return Array(continuations.values)
    }
    let error = RedisError(kind: .closed, operation: "a command", endpoint: url.endpoint, reason: "")
    for continuation in waiting { continuation.resume(returning: .failure(error)) }
  }

  // MARK: On the thread

  private func main() {
    // hiredis writes with write(2): a closed peer would raise SIGPIPE. It is raised for the writing thread only (pipe(7)).
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)

    var socket: Socket?
    var connector = Connector(url, timeout: commandTimeout)
    var failures = 0
    var notBefore = ContinuousClock.now
    while let job = nextJob() {
      if let held = socket.take() {
        if !job.listens, held.isStale { forget() } else { socket = consume held }
      }
      if socket == nil, job.listens {
        // A new connection would have nothing to say: it subscribed to nothing.
        answer(job, .failure(failure(.lost, job, "it ended before")))
        continue
      }
      if socket == nil {
        guard pause(until: notBefore, for: job) else { continue }
        switch connector.connect({ publish($0) }) {
        case .connected(let made):
          failures = 0
          socket = consume made
        case .refused(let refusal):
          failures += 1
          notBefore = .now + backoff.delay(failures: failures, jitter: jitter())
          answer(job, .failure(failure(refusal.isFinal ? .unusable : .unreachable, job, refusal.reason)))
          continue
        }
      }
      guard var held = socket.take() else { continue }
      publish(held.descriptor)
      let limit = (job.wait ?? .zero) + commandTimeout
      let reply =
        job.listens
        ? held.next(within: job.wait ?? .zero, timeout: commandTimeout) : held.command(job.arguments, timeout: limit)
      switch reply {
      case .value(.error(let message)):
        let code = String(message.prefix { $0 != " " })
        let isDemoted = code == "READONLY" || code == "UNBLOCKED"
        if isDemoted { forget() }
        answer(job, .failure(failure(.refused(code: code), job, message)))
        // A primary that became a replica: the next command finds out who is the primary now.
        if !isDemoted { socket = consume held }
      case .value(let value):
        answer(job, .success(value))
        socket = consume held
      case .timedOut:
        forget()
        answer(job, .failure(failure(.timedOut, job, "within \(limit)")))
      case .lost(let reason):
        forget()
        answer(job, .failure(failure(.lost, job, reason)))
      }
    }
    forget()
  }

  private func nextJob() -> Job? {
    locked {
      running = nil
      while jobs.isEmpty && !isClosed { pthread_cond_wait(wake, lock) }
      guard !isClosed else { return nil }
      let job = jobs.removeFirst()
      running = job.id
      return job
    }
  }

  /// Sleeps out the back-off; false when the job was cancelled or the connection closed meanwhile.
  private func pause(until instant: ContinuousClock.Instant, for job: Job) -> Bool {
    locked {
      while !isClosed, continuations[job.id] != nil {
        let left = instant - .now
        guard left > .zero else { return true }
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let (seconds, attoseconds) = left.components
        let nanoseconds = deadline.tv_nsec + Int(attoseconds / 1_000_000_000)
        deadline.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(wake, lock, &deadline)
      }
      return false
    }
  }

  private func publish(_ descriptor: Int32) {
    locked {
      self.descriptor = descriptor
      // close() or cancel() may have come while there was nothing to shut down.
      guard descriptor >= 0 else { return }
      if isClosed || running.map({ continuations[$0] == nil }) ?? false { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
  }

  private func forget() { locked { descriptor = -1 } }

  private func answer(_ job: Job, _ result: Result<RedisValue, RedisError>) {
    locked { continuations.removeValue(forKey: job.id) }?.resume(returning: result)
  }

  private func failure(_ kind: RedisError.Kind, _ job: Job, _ reason: String) -> RedisError {
    RedisError(kind: kind, operation: job.name, endpoint: url.endpoint, reason: reason)
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }
}
