import Glibc
import JSON
import Linux
import Sandbox

private let doctor = ["/usr/local/bin/botburrow", "doctor", "--json"]

/// What doctor says of a machine that restricts user namespaces.
func checkDoctor(_ report: inout Report) {
  report.check("doctor: nothing but agents' tools is missing on this machine") {
    let findings = try examine(expecting: 0)
    let bad = findings.filter { $0["state"]?.string != "ok" }.compactMap { $0["subject"]?.string }
      .filter { !$0.hasPrefix("tool ") }
    try expect(bad.isEmpty, "not ok: \(bad)")
    return "\(findings.count) findings"
  }
  report.check("doctor: user.max_user_namespaces=0 is missing, with what to do; no sandbox can be made then") {
    try withSysctl("user/max_user_namespaces", "0") {
      let findings = try examine(expecting: 1)
      let finding = try find("user.max_user_namespaces", in: findings)
      try expect(finding["state"]?.string == "missing", "it says \(finding)")
      try expect(finding["advice"]?.string?.contains("sysctl -w user.max_user_namespaces=") ?? false, "\(finding)")
      let receipt = try Trial(inside: "wait").end()
      guard case .setupFailed(let operation, _, let reason) = receipt.exit, reason.contains("ENOSPC") else {
        throw Unmet("control: a sandbox was made all the same, or not for this reason: \(receipt.exit)")
      }
      return "\(finding["detail"]?.string ?? ""); a sandbox: \(operation): \(reason)"
    }
  }
  report.check("doctor: kernel.unprivileged_userns_clone=0 concerns others, not a supervisor that is root") {
    try withSysctl("kernel/unprivileged_userns_clone", "0") {
      let finding = try find("kernel.unprivileged_userns_clone", in: try examine(expecting: 0))
      try expect(finding["state"]?.string == "ok", "as root it says \(finding)")
      let unprivileged = try examine(expecting: 0, through: asNobody)
      let theirs = try find("kernel.unprivileged_userns_clone", in: unprivileged)
      try expect(theirs["state"]?.string == "limited", "as nobody it says \(theirs)")
      try expect(!(theirs["advice"]?.string ?? "").isEmpty, "as nobody it advises nothing")
      // The restriction is real, and the supervisor is above it.
      let (end, said) = try run(asNobody + ["unshare", "--user", "true"])
      try expect(end != .exited(0), "control: nobody may make user namespaces all the same")
      let trial = try Trial(inside: "wait")
      try trial.line("waiting")
      try expect(try trial.finish().exit == .exited(code: 0), "the supervisor can't make a sandbox")
      return "nobody: \(said.dropLast())"
    }
  }
  report.check("doctor: control: with kernel.unprivileged_userns_clone=1 nobody can") {
    try must(asNobody + ["unshare", "--user", "true"])
    return try find("kernel.unprivileged_userns_clone", in: try examine(expecting: 0, through: asNobody))["state"]?
      .string
      ?? ""
  }
  report.check("doctor: an AppArmor profile that confines it is named") {
    let free = try find("apparmor", in: try examine(expecting: 0))
    try expect(free["state"]?.string == "ok", "control: unconfined it says \(free)")
    // It complains and allows everything: what is checked is that it is seen.
    try Descriptor.replacing("/run/machine-confined", mode: 0o644)
      .write("profile machine-confined flags=(complain) { }\n".utf8)
    try must(["/sbin/apparmor_parser", "--replace", "/run/machine-confined"])
    // Whether a sandbox can be made then is that profile's affair.
    let findings = try examine(expecting: nil, through: ["/usr/bin/aa-exec", "-p", "machine-confined", "--"])
    let (confined, trial) = (try find("apparmor", in: findings), try find("a sandbox", in: findings))
    let detail = confined["detail"]?.string ?? ""
    try expect(
      confined["state"]?.string == "limited" && detail.contains("machine-confined"), "confined it says \(confined)")
    return "\(detail); a sandbox: \(trial["detail"]?.string ?? "")"
  }
  if access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) != 0 {
    report.skip(
      "doctor: kernel.apparmor_restrict_unprivileged_userns",
      "Debian's 6.1 hasn't got it; the decision is tested by values (DoctorTests)")
  }
}

/// Landlock where the kernel has it.
func checkLandlock(_ report: inout Report) {
  report.check("landlock: Debian's 6.1 has ABI 2, and doctor says so") {
    let detail = try find("landlock", in: try examine(expecting: 0))["detail"]?.string ?? ""
    try expect(KernelFeatures.landlockVersion == 2 && detail.contains("ABI 2"), detail)
    return detail
  }
  report.check("landlock: where a mount lets the program write, this second wall does not, and the receipt has it") {
    let (said, receipt) = try writeWhereMountsAllow()
    try expect(said == "refused", "it \(said)")
    let wall = receipt.json["landlock"] ?? .null
    try expect(wall["enforced"]?.bool == true && wall["abi"]?.integer == 2, "the receipt says \(wall)")
    return said
  }
  report.check("landlock: a profile that requires it is served") {
    let trial = try Trial(inside: "wait", profile: "machine-landlock")
    try trial.line("waiting")
    return "\(try trial.finish().exit)"
  }
}

/// The second boot, with a `lsm=` that leaves Landlock out.
func checkWithoutLandlock(_ report: inout Report) {
  checkMachine(&report)
  report.check("landlock: booted without it, doctor says so and what to do") {
    try expect(KernelFeatures.landlockVersion == nil, "the kernel has it all the same")
    let finding = try find("landlock", in: try examine(expecting: 0))
    try expect(finding["state"]?.string == "limited", "it says \(finding)")
    try expect(finding["advice"]?.string?.contains("lsm=") ?? false, "it advises \(finding)")
    return "\(finding["detail"]?.string ?? ""); \(finding["advice"]?.string ?? "")"
  }
  report.check(
    "landlock: control: booted without it, sandboxes are made, the same write works, the receipt says absent"
  ) {
    let (said, receipt) = try writeWhereMountsAllow()
    try expect(said == "wrote", "it \(said)")
    let wall = receipt.json["landlock"] ?? .null
    try expect(wall["enforced"]?.bool == false && !(wall["reason"]?.string ?? "").isEmpty, "the receipt says \(wall)")
    return "\(said); in the receipt: \(wall["reason"]?.string ?? "")"
  }
  report.check("landlock: booted without it, a profile that requires it is refused") {
    do {
      let receipt = try Trial(inside: "wait", profile: "machine-landlock").end()
      throw Unmet("a sandbox was made: \(receipt.exit)")
    } catch let refusal as SandboxRefused {
      try expect("\(refusal)".lowercased().contains("landlock"), "it is refused: \(refusal)")
      return "\(refusal)"
    }
  }
}

/// Takes the first wall away: root lays a directory that anybody may write to over one of the sandbox's. Whether the
/// program can write there, and its receipt.
private func writeWhereMountsAllow() throws -> (said: String, receipt: Receipt) {
  let place = "/usr/local/share"
  let trial = try Trial([
    "/bin/sh", "-c",
    "echo ready; read -r line; if echo x >\(place)/new; then echo wrote; else echo refused; fi 2>/dev/null; read -r line",
  ])
  try trial.line("ready")
  guard let process = try trial.group().processes.last else { throw Unmet("the sandbox has no process") }
  try must([
    "/usr/bin/nsenter", "--target", "\(process)", "--mount", "/bin/mount", "-t", "tmpfs", "-o", "mode=1777", "none",
    place,
  ])
  try trial.say("go")
  let said = try trial.line()
  let receipt = try trial.finish()
  try expect(receipt.exit == .exited(code: 1) || receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
  return (said, receipt)
}

// MARK: Asking doctor

private let asNobody = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

private func examine(expecting code: Int32?, through prefix: [String] = []) throws -> [JSONValue] {
  let (end, said) = try run(prefix + doctor)
  // Swift's runtime may say a word of its own before.
  guard let start = said.firstIndex(of: "["), let findings = try JSONValue(parsing: said[start...].utf8).array else {
    throw Unmet("doctor says \(said)")
  }
  let subjects = findings.filter { $0["state"]?.string == "missing" }.compactMap { $0["subject"]?.string }
  try expect(code.map { end == .exited($0) } ?? true, "doctor ends with \(end); missing: \(subjects)")
  return findings
}

private func find(_ subject: String, in findings: [JSONValue]) throws -> JSONValue {
  guard let finding = findings.first(where: { $0["subject"]?.string == subject }) else {
    throw Unmet("doctor says nothing of \(subject)")
  }
  return finding
}

/// Sets a kernel parameter for the time of a check.
private func withSysctl<Result>(_ name: String, _ value: String, _ body: () throws -> Result) throws -> Result {
  let path = "/proc/sys/\(name)"
  let before = try text(path)
  try writeFile(path, value)
  defer { try? writeFile(path, before) }
  return try body()
}
