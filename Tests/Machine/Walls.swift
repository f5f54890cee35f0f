import Glibc
import JSON
import Linux
import Sandbox

private let doctor = ["/usr/local/bin/botburrow", "doctor", "--json"]

/// What doctor says of a machine that restricts user namespaces.
func checkDoctor(_ report: inout Report) {
  report.check("doctor: nothing is missing on this machine") {
    let findings = try examine(expecting: 0)
    let bad = findings.filter { $0["state"]?.string != "ok" }.compactMap { $0["subject"]?.string }
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
      guard case .setupFailed(let operation, _, let reason) = receipt.exit else {
        throw Unmet("control: a sandbox was made all the same: \(receipt.exit)")
      }
      return "\(finding["detail"]?.string ?? ""); a sandbox: \(operation): \(reason)"
    }
  }
  report.check("doctor: kernel.unprivileged_userns_clone=0 concerns others, not a supervisor that is root") {
    try withSysctl("kernel/unprivileged_userns_clone", "0") {
      let finding = try find("kernel.unprivileged_userns_clone", in: try examine(expecting: 0))
      try expect(finding["state"]?.string == "ok", "as root it says \(finding)")
      let unprivileged = try examine(expecting: 0, as: "nobody")
      let theirs = try find("kernel.unprivileged_userns_clone", in: unprivileged)
      try expect(theirs["state"]?.string == "limited", "as nobody it says \(theirs)")
      try expect(!(theirs["advice"]?.string ?? "").isEmpty, "as nobody it advises nothing")
      // The restriction is real, and the supervisor is above it.
      let (end, said) = try run(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "unshare", "--user", "true"])
      try expect(end != .exited(0), "control: nobody may make user namespaces all the same")
      let trial = try Trial(inside: "wait")
      try trial.line("waiting")
      try expect(try trial.finish().exit == .exited(code: 0), "the supervisor can't make a sandbox")
      return "nobody: \(said.dropLast())"
    }
  }
  report.check("doctor: control: with kernel.unprivileged_userns_clone=1 nobody can") {
    try must(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "unshare", "--user", "true"])
    return try find("kernel.unprivileged_userns_clone", in: try examine(expecting: 0, as: "nobody"))["state"]?.string
      ?? ""
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
  report.check("landlock: booted without it, sandboxes are made all the same") {
    let trial = try Trial(inside: "wait")
    try trial.line("waiting")
    let receipt = try trial.finish()
    try expect(receipt.exit == .exited(code: 0), "it ended: \(receipt.exit)")
    return "\(receipt.exit)"
  }
}

// MARK: Asking doctor

private func examine(expecting code: Int32, as user: String? = nil) throws -> [JSONValue] {
  let prefix = user.map { ["/usr/bin/setpriv", "--reuid=\($0)", "--regid=nogroup", "--clear-groups"] } ?? []
  let (end, said) = try run(prefix + doctor)
  // Swift's runtime may say a word of its own before.
  guard let start = said.firstIndex(of: "["), let findings = try JSONValue(parsing: said[start...].utf8).array else {
    throw Unmet("doctor says \(said)")
  }
  let subjects = findings.filter { $0["state"]?.string == "missing" }.compactMap { $0["subject"]?.string }
  try expect(end == .exited(code), "doctor ends with \(end); missing: \(subjects)")
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
