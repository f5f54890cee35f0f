import Sandbox

extension Probe {
  /// What agents need, as far as the profile gives it: the walls may not stand in its way.
  static func working(_ profile: Profile) -> [Probe] {
    let filter = profile.syscalls
    func passes(_ call: String) -> Bool {
      let call = Call(call)
      return filter.refusal(call.name, call.arguments) == nil
    }
    var probes = profile.writable.map { Probe.works("write \($0)", "use-directory \($0)") }
    probes += [.works("read its own files", "read /run/agent/probe", "content")]
    if profile.readOnly.contains(where: { $0.path == "/usr" }) {
      probes.append(.works("read the host's programs", "read /usr/bin/env", "content"))
    }
    if passes("clone 0x11") { probes += [.works("start a process", "fork"), .works("start threads", "threads")] }
    if passes("seccomp") { probes.append(.works("put up a further filter of its own", "seccomp")) }
    if passes("socket 2"), passes("connect"), passes("bind"), passes("listen"), passes("accept") || passes("accept4") {
      probes.append(.works("reach itself by its own loopback", "talk-to-itself"))
      if profile.network == .gateway {
        probes.append(.works("ask its own gateway listener", "hear 198.18.0.1 9000", "hello"))
      }
    }
    return probes
  }
}
