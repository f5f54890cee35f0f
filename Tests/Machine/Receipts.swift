import JSON
import Linux
import Sandbox

private let botburrow = "/usr/local/bin/botburrow"

/// Receipts, where every limit has a kernel that enforces it.
func checkReceipts(_ report: inout Report) {
  let limits = SandboxRequest.Limits(memoryBytes: 96 * mebibyte, cpus: 0.5, pids: 32)
  report.check("receipt: its limits are those that the kernel has, read back") {
    let trial = try Trial(inside: "wait", limits: limits)
    try trial.line("waiting")
    let receipt = try trial.finish()
    let read = receipt.json["limits_read_back"]?["cgroup"] ?? .null
    for (file, value) in [("memory.max", "\(96 * mebibyte)"), ("cpu.max", "50000 100000"), ("pids.max", "32")] {
      try expect(read[file]?.string == value, "limits_read_back has \(read)")
    }
    return "memory.max, cpu.max, pids.max"
  }
  report.check("receipt: 'verify' finds nothing in a living sandbox, and names what is changed from outside") {
    let trial = try Trial(inside: "wait", limits: limits)
    try trial.line("waiting")
    try must([botburrow, "receipt", "verify", trial.id])
    try trial.group().set("memory.max", "max")
    try trial.group().set("cpu.max", "max 100000")
    let (end, said) = try run([botburrow, "receipt", "verify", trial.id])
    try expect(end == .exited(1) && said.contains("memory.max") && said.contains("cpu.max"), "\(end): \(said)")
    _ = try trial.finish()
    return said.replacing("\n", with: " | ")
  }
}
