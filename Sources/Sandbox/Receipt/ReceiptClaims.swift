import JSON

/// What a finished receipt must say of itself: every wall was read back, and is one.
public enum ReceiptClaims {
  private static let namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
  private static let capabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]

  /// Where a receipt doesn't say so, or contradicts itself.
  public static func differences(_ receipt: JSONValue) -> [Difference] {
    var found: [Difference] = []
    func expect(_ holds: Bool, _ what: String, _ expected: String, _ actual: String) {
      if !holds { found.append(Difference(what, expected: expected, found: actual)) }
    }
    let id = receipt["activation_id"]?.string ?? ""
    expect(!id.isEmpty, "activation_id", "the activation's", "nothing")
    guard let cause = ExitCause(json: receipt["exit"]) else {
      // The runner keeps receipts of activations that never got as far as a sandbox.
      if receipt["failure"]?.string != nil, receipt["namespaces"] == nil { return found }
      return found + [Difference("exit", expected: "how it ended", found: Self.text(receipt["exit"]))]
    }
    expect(
      receipt["profile_digest"]?.string.map { $0.hasPrefix("sha256:") && $0.utf8.count == 71 } == true,
      "profile_digest",
      "sha256 and 64 digits", text(receipt["profile_digest"]))
    // What never ran has no walls to show.
    if case .setupFailed = cause, receipt["namespaces"] == nil { return found }
    // Ended before it was inspected, and so before its program.
    if [.cancelled, .timeout, .lapsed].contains(cause), receipt["namespaces"] == nil { return found }
    for name in namespaces {
      let inside = receipt["namespaces"]?[name]?.integer
      let host = receipt["host_namespaces"]?[name]?.integer
      expect(inside != nil && host != nil && inside != host, "\(name) namespace", "not the host's", pair(inside, host))
    }
    for name in capabilities {
      let set = receipt["capabilities"]?[name]?.string
      expect(set.map { !$0.isEmpty && $0.allSatisfy { $0 == "0" } } == true, name, "empty", set ?? "unknown")
    }
    expect(receipt["seccomp_mode"]?.integer == 2, "seccomp_mode", "2 (a filter)", text(receipt["seccomp_mode"]))
    expect(receipt["no_new_privs"]?.bool == true, "no_new_privs", "true", text(receipt["no_new_privs"]))
    expect(
      (receipt["host_uid"]?.integer ?? 0) >= 65536, "host_uid", "one of the sandbox's own", text(receipt["host_uid"]))
    let landlock = receipt["landlock"]
    expect(
      landlock?["enforced"]?.bool == true || landlock?["reason"]?.string != nil, "landlock", "enforced, or a reason",
      text(landlock))
    return found + limits(receipt) + denials(receipt)
  }

  /// A limit is enforced, or the receipt says that and why it isn't.
  private static func limits(_ receipt: JSONValue) -> [Difference] {
    let excuses = (receipt["not_enforced"]?.array ?? []).compactMap(\.string)
    let files = receipt["limits_read_back"]?["cgroup"]
    return [("memory_bytes", "memory"), ("cpus", "cpus"), ("pids", "pids")].compactMap { name, word in
      guard let by = receipt["limits"]?[name]?["enforced_by"]?.string else {
        let isExcused = excuses.contains { $0.hasPrefix("\(word):") }
        return isExcused ? nil : Difference("limit \(name)", expected: "enforced, or a reason", found: "neither")
      }
      guard by.hasPrefix("cgroup ") else { return nil }
      let file = String(by.dropFirst("cgroup ".count))
      guard let text = files?[file]?.string else {
        return Difference("limit \(name)", expected: "\(file), read back", found: "nothing")
      }
      let value = receipt["limits"]?[name]?["value"]?.double ?? 0
      return says(text, file, value)
        ? nil : Difference("limit \(name)", expected: "\(value)", found: "\(file): \(text)")
    }
  }

  private static func says(_ text: String, _ file: String, _ value: Double) -> Bool {
    let words = text.split(separator: " ").compactMap { Double($0) }
    if file == "cpu.max" { return words.count == 2 && abs(words[0] / words[1] - value) < 0.001 }
    return words.count == 1 && Inspection.means("\(Int(words[0]))", "\(Int(value))")
  }

  private static func denials(_ receipt: JSONValue) -> [Difference] {
    guard let denied = receipt["network"]?["denied"]?.array else {
      return [Difference("network.denied", expected: "a list", found: text(receipt["network"]?["denied"]))]
    }
    return denied.filter { ($0["packets"]?.integer ?? 0) < 1 || $0["destination"]?.string == nil }.map {
      Difference("network.denied", expected: "a destination and a count", found: text($0))
    }
  }

  private static func text(_ value: JSONValue?) -> String { value?.compactText ?? "nothing" }
  private static func pair(_ inside: Int64?, _ host: Int64?) -> String {
    guard let inside, let host else { return inside == nil ? "not read back" : "nothing to compare with" }
    return inside == host ? "the host's (\(host))" : "\(inside)"
  }
}
