// How long one sandbox takes from the wish to its being gone, beside what others offer, in one run on one machine.

import Glibc
import JSON
import Linux
import Sandbox

struct Contestant {
  var name: String
  var run: () throws -> Void
}

/// Starts a command and waits for its end.
func runProcess(_ arguments: [String]) throws {
  let null = try Descriptor.open("/dev/null", O_RDWR)
  let pid = try spawn(
    arguments[0], arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    descriptors: [null, null, null])
  var status: Int32 = 0
  while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
  if ProcessEnd(waitStatus: status) != .exited(0) { throw BenchError("\(arguments[0]) failed: \(status)") }
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// One sandbox through the running supervisor, from the connection to the receipt (nothing of it is left then).
func runSandbox(_ socket: String, profile: String, number: Int) throws {
  let null = try Descriptor.open("/dev/null", O_RDWR)
  let connection = try SandboxConnection.open(socket)
  let request = SandboxRequest(activationID: "bench-\(getpid())-\(number)", profile: profile, arguments: ["/bin/true"])
  try connection.spawn(request, streams: [null, null, null], files: [])
  while true {
    if case .ended(let receipt) = try connection.next() {
      if receipt.exit != .exited(code: 0) { throw BenchError("sandbox: \(receipt.exit)") }
      return
    }
  }
}

let bubblewrap = [
  "/usr/bin/bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink",
  "usr/lib",
  "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs",
  "/workspace", "/bin/true",
]

/// An OCI bundle with the same view of the host, for runc.
func makeBundle(_ directory: String) throws {
  try runProcess(["/bin/mkdir", "-p", "\(directory)/rootfs"])
  for name in ["usr", "proc", "dev", "sys", "tmp"] {
    try runProcess(["/bin/mkdir", "-p", "\(directory)/rootfs/\(name)"])
  }
  for (name, target) in [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
    symlink(target, "\(directory)/rootfs/\(name)")
  }
  unlink("\(directory)/config.json")
  try runProcess(["/usr/sbin/runc", "spec", "--bundle", directory])
  guard case .object(var config) = try JSONValue(parsing: try readFile("\(directory)/config.json").utf8),
    case .object(var process)? = config["process"], case .array(let mounts)? = config["mounts"]
  else { throw BenchError("runc spec gave something else") }
  process["terminal"] = false
  process["args"] = ["/bin/true"]
  config["process"] = .object(process)
  config["mounts"] = .array(
    mounts + [["destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]]])
  let file = try Descriptor.open("\(directory)/config.json", O_WRONLY | O_TRUNC)
  try file.write(try JSON.encode(JSONValue.object(config)))
}

func milliseconds(_ body: () throws -> Void) throws -> Double {
  let start = ContinuousClock.now
  try body()
  return (ContinuousClock.now - start).seconds * 1000
}

func percentile(_ values: [Double], _ share: Double) -> Double {
  let sorted = values.sorted()
  return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}

func rounded(_ value: Double) -> String {
  let hundredths = Int((value * 100).rounded())
  let fraction = hundredths % 100
  return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}

/// Only for somebody who watches.
func progress(_ text: String) {
  if isatty(STDERR_FILENO) != 0 { _ = write(STDERR_FILENO, text, text.utf8.count) }
}

guard CommandLine.arguments.count >= 4, let rounds = Int(CommandLine.arguments[2]) else {
  print("usage: botburrow-bench SOCKET ROUNDS PROFILE")
  exit(2)
}
let socket = CommandLine.arguments[1]
let profile = CommandLine.arguments[3]
let bundle = "/tmp/botburrow-bench-\(getpid())"
defer { try? runProcess(["/bin/rm", "-rf", bundle]) }

var number = 0
var contestants = [
  Contestant(name: "botburrow (running supervisor)") {
    number += 1
    try runSandbox(socket, profile: profile, number: number)
  },
  Contestant(name: "fork + exec") { try runProcess(["/bin/true"]) },
]
var absent: [String] = []
if access(bubblewrap[0], X_OK) == 0 {
  contestants.append(Contestant(name: "bwrap --unshare-all") { try runProcess(bubblewrap) })
} else {
  absent.append("bwrap --unshare-all: not installed")
}
do {
  try makeBundle(bundle)
  var container = 0
  let runc = Contestant(name: "runc run") {
    container += 1
    try runProcess(["/usr/sbin/runc", "run", "--bundle", bundle, "bench-\(getpid())-\(container)"])
  }
  try runc.run()
  contestants.append(runc)
} catch {
  absent.append("runc run: \(error)")
}

var times: [[Double]] = contestants.map { _ in [] }
for contestant in contestants { for _ in 0..<5 { try contestant.run() } }
for round in 0..<rounds {
  // Interleaved, so that a busy moment of the machine falls on all of them.
  for (index, contestant) in contestants.enumerated() { times[index].append(try milliseconds(contestant.run)) }
  progress("\rround \(round + 1) of \(rounds)")
}
progress("\r\u{1B}[K")

let reference = contestants.firstIndex { $0.name.hasPrefix("bwrap") }.map { percentile(times[$0], 0.5) }
print("| create → `/bin/true` → gone | median ms | p99 ms | ratio to bwrap |")
print("| --- | ---: | ---: | ---: |")
for (contestant, times) in zip(contestants, times) {
  let median = percentile(times, 0.5)
  let ratio = reference.map { rounded(median / $0) } ?? "-"
  print("| \(contestant.name) | \(rounded(median)) | \(rounded(percentile(times, 0.99))) | \(ratio) |")
}
for line in absent { print("\nabsent: \(line)") }
