import Glibc
import Redis
import Work

/// One worker, with the calls of a runner that has one place: claim, finish, and a wait where there is nothing.
func work(_ url: RedisURL) async throws {
  let queue = WorkQueue(url)
  let plain = RedisConnection(url)
  let pools: [Pool] = [.notification]
  let runner = "bench-\(getpid())"
  while true {
    let outcome = try await queue.claim(pools, runner: runner, runnerCap: 1, globalCap: 1000)
    guard case .claimed(let lease) = outcome else {
      try await queue.wait(after: outcome, pools: pools, atMost: .seconds(30))
      continue
    }
    let started = wallClock()
    try await queue.finish(lease, .done)
    if let pushed = lease.item.createdAt {
      _ = try await plain.command(["RPUSH", "bench:latency", RedisArgument("\(started - pushed)")])
    }
  }
}

/// Items of as many agents, as an outside producer writes them.
func fill(_ url: RedisURL, jobs: Int) async throws {
  let connection = RedisConnection(url)
  for start in stride(from: 0, to: jobs, by: 1000) {
    let items = (start..<min(start + 1000, jobs)).map { index in
      RedisArgument(
        #"{"agent_id":"agent-\#(index)","post_id":"p-\#(index)","activation_id":"\#(ActivationID.random())"}"#)
    }
    _ = try await connection.command(["LPUSH", "runner:notification:work"] + items)
  }
}

/// Items that carry the time at which they were pushed.
func push(_ url: RedisURL, count: Int, gap: Duration) async throws {
  let connection = RedisConnection(url)
  _ = try await connection.command(["PING"])
  for index in 0..<count {
    let item = #"{"agent_id":"agent-\#(index)","activation_id":"\#(ActivationID.random())","created_at":"#
    _ = try await connection.command(["LPUSH", "runner:notification:work", RedisArgument("\(item)\(wallClock())}")])
    try await Task.sleep(for: gap)
  }
}

/// Prints p50 and p99 of the seconds in `bench:latency`, in ms.
func latencies(_ url: RedisURL, count: Int) async throws {
  let connection = RedisConnection(url)
  let deadline = ContinuousClock.now + .seconds(60)
  while try await connection.command(["LLEN", "bench:latency"]).integer ?? 0 < count {
    guard ContinuousClock.now < deadline else { fail("not every job was done within a minute") }
    try await Task.sleep(for: .milliseconds(50))
  }
  let all = try await connection.command(["LRANGE", "bench:latency", 0, -1]).array ?? []
  let sorted = all.compactMap { $0.string.flatMap { Double($0) } }.sorted()
  print(sorted[sorted.count / 2] * 1000, sorted[sorted.count * 99 / 100] * 1000)
}

/// Seconds since 1970.
func wallClock() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
