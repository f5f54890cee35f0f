import Glibc
import Redis

/// Lets stopped workers go and waits until `keys` are empty. Prints the seconds that this took, the seconds of CPU that the
/// workers used, and those of Redis.
func drain(_ url: RedisURL, redis: pid_t, keys: [String], _ workers: [pid_t]) async throws {
  let connection = RedisConnection(url)
  var sizes: [[RedisArgument]] = []
  for key in keys {
    // A key that is not there yet has no type: COMMAND:KEY says how to count.
    let parts = key.split(separator: ":", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { fail("'\(key)' is not COMMAND:KEY") }
    sizes.append([RedisArgument(parts[0]), RedisArgument(parts[1])])
  }
  let before = (seconds(of: workers), seconds(of: [redis]))
  let started = ContinuousClock.now
  for worker in descendants(of: workers) { kill(worker, SIGCONT) }
  let deadline = started + .seconds(120)
  while true {
    var left = 0
    for size in sizes { left += try await connection.command(size).integer ?? 0 }
    if left == 0 { break }
    guard ContinuousClock.now < deadline else { fail("\(left) jobs are left after two minutes") }
    try await Task.sleep(for: .milliseconds(10))
  }
  let wall = started.duration(to: .now) / .seconds(1)
  // What a worker does after its last job, as far as it belongs to that.
  try await Task.sleep(for: .milliseconds(200))
  print(wall, seconds(of: workers) - before.0, seconds(of: [redis]) - before.1)
}

/// What a server was asked, apart from our own two questions: commands a second, and those inside scripts with them.
func commands(_ url: RedisURL, _ time: Duration) async throws {
  let connection = RedisConnection(url)
  func calls() async throws -> [String: Int] {
    let text = try await connection.command(["INFO", "commandstats"]).string ?? ""
    var calls: [String: Int] = [:]
    for line in text.split(separator: "\r\n") where line.hasPrefix("cmdstat_") {
      let parts = line.dropFirst(8).split(separator: ":")
      let count = parts.last?.split(separator: ",").first?.dropFirst(6)
      calls[String(parts[0])] = count.flatMap { Int($0) }
    }
    return calls
  }
  let before = try await calls()
  try await Task.sleep(for: time)
  let after = try await calls()
  for (name, count) in after.sorted(by: { $0.key < $1.key }) where name != "info" {
    let rate = Double(count - before[name, default: 0]) / (time / .seconds(1))
    if rate > 0 { print(name, rate) }
  }
}

/// CPU seconds of processes, of those below them, and of children that they waited for (proc(5)).
func seconds(of roots: [pid_t]) -> Double {
  var ticks = 0
  for pid in descendants(of: roots) {
    guard let fields = statFields(pid) else { continue }
    ticks += (11...14).reduce(0) { $0 + (Int(fields[$1]) ?? 0) }
  }
  return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// The processes themselves and all below them.
func descendants(of roots: [pid_t]) -> [pid_t] {
  var parents: [pid_t: pid_t] = [:]
  if let directory = opendir("/proc") {
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let pid = pid_t(name), let fields = statFields(pid) { parents[pid] = pid_t(fields[1]) }
    }
  }
  var found = Set(roots)
  while true {
    let below = parents.filter { found.contains($0.value) && !found.contains($0.key) }.keys
    if below.isEmpty { return found.sorted() }
    found.formUnion(below)
  }
}

/// Fields of `/proc/PID/stat` from the third, the state, on: the second may hold spaces.
private func statFields(_ pid: pid_t) -> [Substring]? {
  guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
  defer { fclose(file) }
  var buffer = [CChar](repeating: 0, count: 2048)
  guard fgets(&buffer, 2048, file) != nil else { return nil }
  let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  guard let name = text.lastIndex(of: ")") else { return nil }
  return text[text.index(after: name)...].split(separator: " ")
}
