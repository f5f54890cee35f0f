import Glibc
import Linux
import Sandbox

/// That this is the machine that was meant.
func checkMachine(_ report: inout Report) {
  report.check("machine: Debian's kernel 6.1, systemd as PID 1, cgroup v2 alone") {
    // The unit counts as started before it serves.
    try eventually("the supervisor's serving") { UnixSocket.accepts(Trial.socket) ? true : nil }
    let release = KernelFeatures.release
    try expect(KernelFeatures.version(of: release).map { $0 == (6, 1) } ?? false, "kernel \(release)")
    let first = try text("/proc/1/comm")
    try expect(first == "systemd", "PID 1 is \(first)")
    let controllers = try text("/sys/fs/cgroup/cgroup.controllers")
    for name in ["cpu", "io", "memory", "pids"] {
      try expect(controllers.split(separator: " ").contains(Substring(name)), "controllers: \(controllers)")
    }
    let mounts = try readFile("/proc/self/mountinfo")
    try expect(!mounts.contains(" - cgroup "), "cgroup v1 is mounted too")
    return "\(release), controllers \(controllers)"
  }
}

/// Memory: within, beyond, together, and with swap.
func checkMemory(_ report: inout Report) {
  let limits = SandboxRequest.Limits(memoryBytes: 96 * mebibyte)
  report.check("memory: a program within its limit ends with 0, and the kernel has the limits") {
    let trial = try Trial(inside: "hold", "\(48 * mebibyte)", limits: limits)
    try trial.line("holding")
    let files = ["memory.max", "memory.swap.max", "memory.oom.group"]
    let seen = try files.map { try trial.value($0) }
    try expect(seen == ["\(96 * mebibyte)", "0", "1"], "\(files) are \(seen)")
    let current = Int(try trial.value("memory.current")) ?? 0
    try expect(current > 48 * mebibyte, "memory.current is \(current)")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    try expect(
      receipt.json["not_enforced"]?.array == [], "not enforced: \(String(describing: receipt.json["not_enforced"]))")
    return "memory.max \(seen[0]), held \(current)"
  }
  report.check("memory: beyond memory.max is reported as oom") {
    let before = try kills()
    let trial = try Trial(inside: "hold", "\(160 * mebibyte)", limits: limits)
    let receipt = try trial.end()
    try expect(receipt.exit == .oom, "it ended: \(receipt.exit), having said '\(try trial.rest())'")
    let after = try kills()
    try expect(after.processes > before.processes, "the kernel counts no oom_kill")
    let peak = receipt.json["usage"]?["memory_peak_bytes"]?.integer ?? 0
    try expect(peak > 90 << 20 && peak <= 96 << 20, "memory.peak was \(peak)")
    return "memory.peak \(peak), oom_kill \(after.processes - before.processes)"
  }
  let parent = "\"$@\"; echo \"it ended with $?\"; read -r line; exit 7"
  report.check("memory: one process beyond the limit ends all of its sandbox") {
    let before = try kills()
    let trial = try Trial(
      ["/bin/sh", "-c", parent, "sh", Trial.program, "inside", "hold", "\(160 * mebibyte)"], limits: limits)
    let receipt = try trial.end()
    let said = try trial.rest()
    try expect(receipt.exit == .oom && said.isEmpty, "it ended: \(receipt.exit), having said '\(said)'")
    let after = try kills()
    try expect(after.groups > before.groups, "the kernel counts no oom_group_kill")
    return "oom_group_kill \(after.groups - before.groups)"
  }
  report.check("memory: control: a process that is killed otherwise leaves its parent alive") {
    let trial = try Trial(["/bin/sh", "-c", parent, "sh", "/bin/sh", "-c", "kill -9 $$"], limits: limits)
    // The shell says 'Killed' in between.
    var said = try trial.line()
    while !said.hasPrefix("it ended") { said = try trial.line() }
    try expect(said == "it ended with 137", "it says '\(said)'")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 7), "it ended: \(receipt.exit)")
    return "\(receipt.exit)"
  }
  checkSwap(&report)
  checkHigh(&report)
}

/// `memory.events` of the supervisor's own group: counts of the groups below add up there, and stay when those are gone.
private func kills() throws -> (processes: Int, groups: Int) {
  let group = try Unit.supervisor.group()
  return (
    group.count("oom_kill", in: "memory.events") ?? 0, group.count("oom_group_kill", in: "memory.events") ?? 0
  )
}

private func checkSwap(_ report: inout Report) {
  report.check("memory: a host's swap is no way around the limit, unless the profile allows it") {
    try must(["/sbin/mkswap", "/dev/vdc"])
    try must(["/sbin/swapon", "/dev/vdc"])
    defer { _ = try? run(["/sbin/swapoff", "/dev/vdc"]) }
    let limits = SandboxRequest.Limits(memoryBytes: 64 * mebibyte)
    let without = try Trial(inside: "hold", "\(80 * mebibyte)", limits: limits).end()
    try expect(without.exit == .oom, "without swap it ended: \(without.exit)")
    let trial = try Trial(inside: "hold", "\(80 * mebibyte)", profile: "machine-swap", limits: limits)
    try trial.line("holding")
    let (most, used) = (try trial.value("memory.swap.max"), Int(try trial.value("memory.swap.current")) ?? 0)
    try expect(most == "\(128 * mebibyte)", "memory.swap.max is \(most)")
    try expect(used > 8 * mebibyte, "memory.swap.current is \(used)")
    let with = try trial.finish()
    try expect(with.exit == .exited(code: 0), "with swap it ended: \(with.exit)")
    let beyond = try Trial(inside: "hold", "\(256 * mebibyte)", profile: "machine-swap", limits: limits).end()
    try expect(beyond.exit == .oom, "beyond memory and swap it ended: \(beyond.exit)")
    return "memory.swap.max \(most), used \(used)"
  }
}

private func checkHigh(_ report: inout Report) {
  report.check("memory: beyond memory.high a program is slowed down, not ended") {
    let trial = try Trial(inside: "hold", "\(34 * mebibyte)", profile: "machine-high")
    try trial.line("holding")
    let high = try trial.value("memory.high")
    try expect(high == "\(32 * mebibyte)", "memory.high is \(high)")
    let times = try trial.group().count("high", in: "memory.events") ?? 0
    try expect(times > 0, "memory.events counts no 'high'")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    return "memory.high \(high), reached \(times) times"
  }
  report.check("memory: control: without memory.high nothing is counted") {
    let trial = try Trial(inside: "hold", "\(34 * mebibyte)")
    try trial.line("holding")
    let (high, times) = (try trial.value("memory.high"), try trial.group().count("high", in: "memory.events") ?? -1)
    try expect(high == "max" && times == 0, "memory.high is \(high), reached \(times) times")
    return "\(try trial.finish().exit)"
  }
}

/// CPU time by `cpu.stat`, over this machine's own clock.
func checkCPU(_ report: inout Report) {
  report.check("cpu: eight spinning threads with a limit of 0.5 get 0.5 ± 0.1 cores") {
    let (share, throttled) = try measure(cpus: 0.5)
    try expect(throttled > 0, "nr_throttled is 0")
    try expect(abs(share - 0.5) <= 0.1, "they got \(share) cores")
    return "\(share) cores, throttled \(throttled) times"
  }
  report.check("cpu: control: with a limit of 1.0 they get more than 0.75") {
    let (share, _) = try measure(cpus: 1.0)
    try expect(share > 0.75 && share < 1.15, "they got \(share) cores")
    return "\(share) cores"
  }
}

private func measure(cpus: Double) throws -> (share: Double, throttled: Int) {
  let trial = try Trial(inside: "spin", "8", limits: SandboxRequest.Limits(cpus: cpus))
  try trial.line("spinning")
  let (group, limit) = (try trial.group(), try trial.value("cpu.max"))
  try expect(limit == "\(Int(cpus * 100_000)) 100000", "cpu.max is \(limit)")
  func usage() throws -> Int {
    guard let used = group.count("usage_usec", in: "cpu.stat") else { throw Unmet("cpu.stat has no usage_usec") }
    return used
  }
  let (start, before) = (ContinuousClock.now, try usage())
  // The time over which is measured: nothing happens at its end.
  usleep(5_000_000)
  let (after, stop) = (try usage(), ContinuousClock.now)
  let throttled = group.count("nr_throttled", in: "cpu.stat") ?? 0
  // Threads spin on when main returns; the end of the process ends them.
  _ = try trial.finish()
  let share = Double(after - before) / 1e6 / (stop - start).seconds
  return ((share * 1000).rounded() / 1000, throttled)
}

/// Processes: one that counts, and a bomb.
func checkProcesses(_ report: inout Report) {
  report.check("pids: a program that forks without end is stopped at pids.max") {
    let trial = try Trial(inside: "fork", "500", limits: SandboxRequest.Limits(pids: 32))
    try liftProcessLimit(of: trial)
    try trial.say("go")
    let said = try trial.line()
    let (limit, current, peak) = (
      try trial.value("pids.max"), try trial.value("pids.current"), try? trial.value("pids.peak")
    )
    let refused = try trial.group().count("max", in: "pids.events") ?? 0
    try expect(limit == "32" && current == "32" && said.contains("EAGAIN"), "\(limit) \(current) \(said)")
    try expect(refused > 0, "the kernel counts no refusal in pids.events")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    return "\(said); pids.current \(current), pids.peak \(peak ?? "not there"), pids.events max \(refused)"
  }
  report.check("pids: RLIMIT_NPROC stops it too, where pids.max would not") {
    let trial = try Trial(inside: "fork", "500", limits: SandboxRequest.Limits(pids: 32))
    try trial.line("ready")
    try trial.group().set("pids.max", "max")
    try trial.say("go")
    let said = try trial.line()
    try expect(said.hasSuffix("EAGAIN (Resource temporarily unavailable)"), "it says '\(said)'")
    let current = Int(try trial.value("pids.current")) ?? 0
    try expect(current <= 40, "pids.current is \(current)")
    return "\(said); \(try trial.finish().exit)"
  }
  report.check("pids: control: with room for them, as many processes start") {
    let trial = try Trial(inside: "fork", "40", limits: SandboxRequest.Limits(pids: 64))
    try trial.line("ready")
    try trial.say("go")
    try trial.line("started 40")
    return "\(try trial.finish().exit)"
  }
  report.check("pids: a fork bomb stays in its sandbox, and the host goes on forking") {
    let outside = try processesOutside()
    let trial = try Trial(inside: "bomb", limits: SandboxRequest.Limits(pids: 64, timeoutSeconds: 20))
    try liftProcessLimit(of: trial)
    try trial.say("go")
    let group = try trial.group()
    try eventually("the bomb's reaching pids.max") { group.count("max", in: "pids.events") ?? 0 > 0 ? true : nil }
    for _ in 0..<5 { try must(["/bin/true"]) }
    let now = try processesOutside()
    try expect(now <= outside + 3, "outside there were \(outside) processes, now there are \(now)")
    let (current, refused) = (group.value("pids.current") ?? "", group.count("max", in: "pids.events") ?? 0)
    try expect(Int(current) ?? 999 <= 64, "pids.current is \(current)")
    let receipt = try trial.end()
    try expect(receipt.exit == .timeout, "it ended: \(receipt.exit)")
    try expect(access(group.path, F_OK) != 0, "its cgroup is still there")
    return "pids.current \(current), pids.events max \(refused), outside \(outside) processes, then \(now)"
  }
}

/// A profile's `pids` is RLIMIT_NPROC besides pids.max, and whichever is reached first hides the other: from outside, root
/// takes it away from the program that is ready to go.
private func liftProcessLimit(of trial: Trial) throws {
  try trial.line("ready")
  for process in try trial.group().processes {
    try must(["/usr/bin/prlimit", "--pid", "\(process)", "--nproc=unlimited"])
  }
}

/// Processes that are in no sandbox.
private func processesOutside() throws -> Int {
  let all = Set(try directories(in: "/proc").compactMap { pid_t($0) })
  let group = try Unit.supervisor.group()
  let inside = ((try? directories(in: group.path)) ?? []).filter { $0.hasPrefix("botburrow-") }.flatMap {
    group.child($0).processes
  }
  return all.subtracting(inside).filter { access("/proc/\($0)/exe", F_OK) == 0 && isUserland($0) }.count
}

/// Kernel threads have no command line.
private func isUserland(_ pid: pid_t) -> Bool { !((try? readFile("/proc/\(pid)/cmdline")) ?? "").isEmpty }
