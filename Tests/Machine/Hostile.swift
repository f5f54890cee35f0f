import Glibc

/// The hostile suite on this kernel, with limits that are enforced: in a scope that systemd delegates.
func checkHostile(_ report: inout Report) {
  let program = "/usr/local/libexec/botburrow-hostile/botburrow-hostile"
  for profile in ["default", "claude-code"] {
    let name = "hostile: the suite holds for '\(profile)'"
    if access(program, X_OK) != 0 {
      report.skip(name, "the suite was not built: make hostile")
      continue
    }
    if access("/etc/botburrow/profiles/\(profile).yaml", F_OK) != 0 {
      report.skip(name, "there is no such profile")
      continue
    }
    report.check(name) {
      let (end, said) = try run(
        [
          "/usr/bin/systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes",
          "--property=TasksMax=infinity",
        ]
          + ["--", program, "--profiles", "/etc/botburrow/profiles", "--profile", profile, "--jobs", "2"],
        within: .seconds(600))
      let counts = said.split(separator: "\n").first { $0.hasPrefix("\(profile): probes ") }.map(String.init) ?? ""
      try expect(end == .exited(0), "\(end): \(said)")
      let numbers = counts.split { !$0.isNumber }.compactMap { Int($0) }
      try expect(numbers.count == 3 && numbers[0] >= 120 && numbers[1] == numbers[0], "it says '\(said)'")
      return counts
    }
  }
}
