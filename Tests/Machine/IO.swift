import Glibc
import Linux
import Sandbox

private let amount = 6 * mebibyte
private let rate = 2 * mebibyte

/// `io.max` on the disk that the sandbox reads from, and on its workspace.
func checkIO(_ report: inout Report) {
  report.check("io: with a limit of 2 MiB/s, 6 MiB of the disk are read in no less than 2.5 s") {
    let (milliseconds, trial) = try read(profile: "machine-io")
    let limits = try trial.value("io.max")
    try expect(limits.split(separator: "\n").contains { $0.contains("rbps=\(rate)") }, "io.max is \(limits)")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    try expect(milliseconds >= 2500, "it took \(milliseconds) ms")
    return "\(milliseconds) ms; io.max \(limits.replacing("\n", with: ", "))"
  }
  report.check("io: control: without a limit they are read faster") {
    let tries = try fastest(below: 1500) {
      let (milliseconds, trial) = try read(profile: "default")
      try expect(try trial.value("io.max").isEmpty, "io.max is \(try trial.value("io.max"))")
      _ = try trial.finish()
      return milliseconds
    }
    return "\(tries) ms"
  }
  report.check("io: with a limit of 2 MiB/s, writing 6 MiB to a persistent workspace takes no less than 2.5 s") {
    let (milliseconds, trial) = try write(profile: "machine-io")
    let limits = try trial.value("io.max")
    try expect(limits.split(separator: "\n").contains { $0.contains("wbps=\(rate)") }, "io.max is \(limits)")
    let written = try trial.value("io.stat").replacing("\n", with: ", ")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    try expect(milliseconds >= 2500, "it took \(milliseconds) ms; io.stat \(written)")
    return "\(milliseconds) ms; io.stat \(written)"
  }
  report.check("io: control: without a limit it is written faster, and is there the next time") {
    let tries = try fastest(below: 2000) {
      let (milliseconds, trial) = try write(profile: "machine-workspace")
      _ = try trial.finish()
      return milliseconds
    }
    let next = try Trial(
      ["/usr/bin/stat", "-c", "%s", "/workspace/written"], profile: "machine-workspace", workspace: agent)
    try next.line("\(amount)")
    return "\(tries) ms; \(try next.finish().exit)"
  }
  report.check("io: a workspace ends at its size, whatever room its disk has") {
    let trial = try Trial(
      ["/bin/sh", "-c", "head -c 64M /dev/zero >/workspace/more; stat -c %s /workspace/more"],
      profile: "machine-workspace",
      workspace: agent)
    let (complaint, size) = (try trial.line(), Int(try trial.line()) ?? 0)
    try expect(complaint.contains("No space left"), "it says '\(complaint)'")
    try expect(size > 0 && size < 32 * mebibyte, "\(size) bytes were written")
    return "\(size) bytes; \(try trial.finish().exit)"
  }
}

private let agent = "machine"

/// How long each try took, up to the first that was below the bound. A limit holds every time; without one, only what else
/// the emulating host does can make a try slow, and that passes.
private func fastest(below bound: Int, _ take: () throws -> Int) throws -> [Int] {
  var tries: [Int] = []
  for _ in 1...8 {
    tries.append(try take())
    if tries[tries.count - 1] < bound { return tries }
  }
  throw Unmet("it took \(tries) ms, each time \(bound) or more")
}

private func write(profile: String) throws -> (milliseconds: Int, Trial) {
  let trial = try Trial(inside: "write", "\(amount)", "/workspace/written", profile: profile, workspace: agent)
  return (try milliseconds(trial, "wrote in "), trial)
}

private func milliseconds(_ trial: Trial, _ words: String) throws -> Int {
  let said = try trial.line()
  guard said.hasPrefix(words), let number = Int(said.dropFirst(words.count)) else { throw Unmet("it says '\(said)'") }
  return number
}

/// Reads a file that no cache holds, inside.
private func read(profile: String) throws -> (milliseconds: Int, Trial) {
  // Below /usr, which sandboxes see.
  let path = "/usr/local/share/machine-read"
  let file = try Descriptor.replacing(path, mode: 0o644)
  // Blocks that differ: a disk that has zeros doesn't read them.
  for number in 0..<(amount / 4096) {
    try file.write([UInt8](repeating: UInt8(truncatingIfNeeded: number | 1), count: 4096))
  }
  try must(["/bin/sync"])
  try writeFile("/proc/sys/vm/drop_caches", "1")
  let trial = try Trial(inside: "read", "\(amount)", path, profile: profile)
  return (try milliseconds(trial, "read in "), trial)
}
