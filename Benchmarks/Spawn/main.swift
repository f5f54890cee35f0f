// What one sandbox takes from the wish to its being gone, how many there are a second, and what they take while they live:
// beside what others offer, and beside the kernel's own floor, in one run on one machine.

import Glibc
import Linux

guard CommandLine.arguments.count == 7, let rounds = Int(CommandLine.arguments[3]),
  let alive = Int(CommandLine.arguments[5]), let pid = pid_t(CommandLine.arguments[2])
else {
  print("usage: botburrow-bench SOCKET SUPERVISOR-PID ROUNDS PROFILE ALIVE FLOOR-PROGRAM")
  exit(2)
}
let supervised = Supervised(socket: CommandLine.arguments[1], profile: CommandLine.arguments[4])
let bundle = "/tmp/botburrow-bench-\(getpid())"
defer { try? runProcess(["/bin/rm", "-rf", bundle]) }
let floor = try Floor(program: CommandLine.arguments[6])
let field = Field(supervisor: supervised, floor: floor, bundle: bundle)

var order = Dice(state: 1)
var times: [[Double]] = field.contestants.map { _ in [] }
for contestant in field.contestants { for _ in 0..<5 { _ = try contestant.measure() } }
for round in 0..<rounds {
  // Interleaved, so that a busy moment of the machine falls on all of them; and shuffled, for the kernel still clears away
  // what one left (runc most of all) while the next one runs.
  for index in field.contestants.indices.shuffled(using: &order) {
    times[index].append(try field.contestants[index].measure())
  }
  progress("\rround \(round + 1) of \(rounds)")
}
progress("\r\u{1B}[K")

let medians = Dictionary(
  zip(field.contestants.map(\.name), times.map { percentile($0, 0.5) })
) { first, _ in first }
print("| create → `/bin/true` → gone | median ms | p99 ms | ratio to bwrap |")
print("| --- | ---: | ---: | ---: |")
let reference = medians[Field.bubblewrap]
for (contestant, times) in zip(field.contestants, times) {
  let median = percentile(times, 0.5)
  let ratio = reference.map { rounded(median / $0) } ?? "-"
  print("| \(contestant.name) | \(rounded(median)) | \(rounded(percentile(times, 0.99))) | \(ratio) |")
}
for line in field.absent { print("\nabsent: \(line)") }

progress("sustained")
// In turns, each twice: what the kernel has to clean up of one falls on the other as well.
var ours: [Double] = []
var raw: [Double] = []
for _ in 0..<3 {
  raw.append(try floor.ask("sustained 3"))
  ours.append(try supervised.sustained(seconds: 3, clients: 8))
}
progress("\r\u{1B}[K")
let (ourRate, rawRate) = (percentile(ours, 0.5), percentile(raw, 0.5))
progress("alive")
let living = try Alive.measure(supervised, supervisor: pid, count: alive)
progress("\r\u{1B}[K")

let own = times[0]
print("\n| what | figure | bound |")
print("| --- | ---: | ---: |")
func row(_ what: String, _ figure: Double, _ bound: String) { print("| \(what) | \(rounded(figure)) | \(bound) |") }
if let reference { row("median, to bwrap", percentile(own, 0.5) / reference, "≤ 0.65") }
if let runc = medians[Field.runc] { row("median, to runc", percentile(own, 0.5) / runc, "≤ 0.15") }
if let floor = medians[Field.floor] { row("median, to raw clone3", percentile(own, 0.5) / floor, "≤ 3") }
row("p99, to p50", percentile(own, 0.99) / percentile(own, 0.5), "≤ 5")
row("sustained a second, 8 clients", ourRate, "")
row("raw: namespaces, veth, exec, a second", rawRate, "")
row("sustained, to raw", ourRate / rawRate, "≥ 0.6")
row("\(living.count) alive: supervisor, KB each", living.supervisor, "")
row("\(living.count) alive: PID 1, KB each", living.initProcess, "")
row("\(living.count) alive: both, KB each", living.supervisor + living.initProcess, "≤ 512")

/// The same order in every run (splitmix64).
struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
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
