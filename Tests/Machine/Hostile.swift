import Glibc
import Linux

/// An address and a name server of the host's own, for the probes that try to reach them.
private func giveTheHostAnAddress() throws {
  try must(["/sbin/ip", "link", "add", "host0", "type", "veth", "peer", "name", "host1"])
  for link in ["host0", "host1"] { try must(["/sbin/ip", "link", "set", link, "up"]) }
  try must(["/sbin/ip", "address", "add", "192.0.2.10/24", "dev", "host0"])
  try must(["/sbin/ip", "route", "add", "default", "via", "192.0.2.1"])
  try Descriptor.replacing("/etc/resolv.conf", mode: 0o644).write("nameserver 192.0.2.1\n".utf8)
}

/// The hostile suite on this kernel, with limits that are enforced: in a scope that systemd delegates.
func checkHostile(_ report: inout Report) {
  var isReady = false
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
      if !isReady { try giveTheHostAnAddress() }
      isReady = true
      let (end, said) = try run(
        [
          "/usr/bin/systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes",
          "--property=TasksMax=infinity",
        ]
          + ["--", program, "--profiles", "/etc/botburrow/profiles", "--profile", profile, "--jobs", "2"],
        within: .seconds(600))
      // What this kernel hasn't got, so that no control could show it, is counted and not listed here.
      let lines = said.split(separator: "\n").filter { !$0.contains("without control") }.map(String.init)
      let words = lines.joined(separator: " | ")
      let counts = lines.first { $0.hasPrefix("\(profile): probes ") } ?? ""
      try expect(end == .exited(0), "\(end): \(words)")
      let numbers = counts.split { !$0.isNumber }.compactMap { Int($0) }
      try expect(numbers.count == 3 && numbers[0] >= 120 && numbers[1] == numbers[0], "it says '\(words)'")
      return words
    }
  }
}
