import Glibc
import Redis
import Work

// The queue's benchmarks, one mode a measurement; scripts/bench-queue.sh puts them together and prints the table.
//
//   work URL                       a worker: claims, does nothing, finishes, waits; until it is killed
//   fill URL JOBS                  puts JOBS items into the notification list
//   push URL COUNT GAP             pushes COUNT stamped items, GAP ms apart, to an idle worker
//   drain URL REDIS-PID KEYS PIDS  lets stopped workers go, and measures until the keys are empty
//   latencies URL COUNT            waits for COUNT latencies that jobs left, prints p50 and p99 in ms
//   cpu PIDS                       seconds of CPU that processes and those below them used
//   schedule URL AGENTS            puts AGENTS agents on the staleness schedule, a hundred of them overdue
//   bucket AGENTS                  an S3 bucket with so many agents; prints its port
//   commands URL SECONDS           what a server was asked in that time: name, calls a second

func word(_ index: Int) -> String {
  let words = CommandLine.arguments.dropFirst()
  guard index + 1 < words.endIndex else { fail("see the head of Benchmarks/Queue/main.swift for what is wanted") }
  return words[index + 1]
}

func number(_ index: Int) -> Int {
  guard let number = Int(word(index)) else { fail("'\(word(index))' is not a whole number") }
  return number
}

func numbers(_ index: Int) -> [pid_t] { word(index).split(separator: ",").compactMap { pid_t($0) } }

func fail(_ reason: String) -> Never {
  let line = "botburrow-bench-queue: \(reason)\n"
  _ = line.withCString { Glibc.write(2, $0, strlen($0)) }
  exit(2)
}

do {
  switch word(0) {
  case "work": try await work(RedisURL(word(1)))
  case "fill": try await fill(RedisURL(word(1)), jobs: number(2))
  case "push": try await push(RedisURL(word(1)), count: number(2), gap: .milliseconds(number(3)))
  case "drain":
    try await drain(
      RedisURL(word(1)), redis: pid_t(number(2)), keys: word(3).split(separator: ",").map(String.init), numbers(4))
  case "latencies": try await latencies(RedisURL(word(1)), count: number(2))
  case "cpu": print(seconds(of: numbers(1)))
  case "schedule": try await schedule(RedisURL(word(1)), agents: number(2))
  case "bucket": try await serveBucket(agents: number(1))
  case "commands": try await commands(RedisURL(word(1)), .seconds(number(2)))
  default: fail("'\(word(0))' is not a mode")
  }
} catch {
  fail("\(error)")
}
