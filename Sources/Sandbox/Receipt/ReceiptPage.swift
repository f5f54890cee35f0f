import JSON

/// A receipt as a page for a person.
public enum ReceiptPage {
  /// - Parameter time: a moment in seconds since 1970, as text.
  public static func text(_ receipt: JSONValue, time: (Int64) -> String) -> String {
    var page = Page()
    header(receipt, time, &page)
    if receipt["namespaces"] != nil { walls(receipt, &page) }
    if receipt["limits"] != nil { limits(receipt, &page) }
    if receipt["network"] != nil { network(receipt, &page) }
    used(receipt, &page)
    work(receipt, &page)
    return page.text
  }

  private struct Page {
    var text = ""
    mutating func section(_ title: String) { text += (text.isEmpty ? "" : "\n") + title + "\n" }
    mutating func row(_ name: String, _ value: String?) {
      guard let value else { return }
      let padding = String(repeating: " ", count: max(1, 16 - name.count))
      text += "  \(name)\(padding)\(printable(value))\n"
    }
  }

  private static func header(_ receipt: JSONValue, _ time: (Int64) -> String, _ page: inout Page) {
    page.section("Activation \(printable(receipt["activation_id"]?.string ?? "?"))")
    page.row("profile", receipt["profile"]?.string)
    page.row("digest", receipt["profile_digest"]?.string)
    page.row("started", receipt["started_at"]?.integer.map(time))
    page.row("took", receipt["wall_seconds"]?.double.map { "\(decimal($0, 3)) s" })
    page.row("ended", ExitCause(json: receipt["exit"])?.description ?? "not yet")
  }

  private static func walls(_ receipt: JSONValue, _ page: inout Page) {
    page.section("Walls, as the kernel told them before the program ran")
    let hosts = receipt["host_namespaces"]?.object ?? [:]
    let own = (receipt["namespaces"]?.object ?? [:]).sorted { $0.key < $1.key }
    page.row("namespaces", own.map { "\($0.key) \($0.value.integer ?? 0)" }.joined(separator: ", "))
    let shared = own.filter { hosts[$0.key] == $0.value }.map(\.key)
    page.row("", shared.isEmpty ? "none of them the host's" : "THE HOST'S: \(shared.joined(separator: ", "))")
    let sets = (receipt["capabilities"]?.object ?? [:]).sorted { $0.key < $1.key }
    let full = sets.filter { $0.value.string?.allSatisfy { $0 == "0" } != true }
    let isEmpty = full.isEmpty && !sets.isEmpty
    page.row(
      "capabilities",
      isEmpty
        ? "none, in all \(sets.count) sets" : full.map { "\($0.key) \($0.value.string ?? "?")" }.joined(separator: ", ")
    )
    let filter = receipt["seccomp_mode"]?.integer == 2 ? "a filter" : "mode \(receipt["seccomp_mode"]?.integer ?? 0)"
    page.row("seccomp", filter + (receipt["no_new_privs"]?.bool == true ? ", no_new_privs" : ", WITHOUT no_new_privs"))
    page.row("landlock", landlock(receipt["landlock"]))
    page.row("user outside", receipt["host_uid"]?.integer.map { "\($0)" })
  }

  private static func landlock(_ value: JSONValue?) -> String {
    guard value?["enforced"]?.bool == true else {
      return "NONE: " + (value?["reason"]?.string ?? "the receipt doesn't say why")
    }
    return "version \(value?["abi"]?.integer ?? 0), files"
      + (value?["tcp_closed"]?.bool == true ? ", TCP" : "")
      + (value?["scoped"]?.bool == true ? ", signals and abstract sockets" : "")
  }

  private static func limits(_ receipt: JSONValue, _ page: inout Page) {
    page.section("Limits")
    for (name, limit) in (receipt["limits"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      guard let value = limit["value"] else { continue }
      let amount = name.hasSuffix("_bytes") ? bytes(value.integer ?? 0) : value.compactText
      page.row(name, "\(amount), " + (limit["enforced_by"]?.string.map { "by \($0)" } ?? "NOT ENFORCED"))
    }
    for reason in receipt["not_enforced"]?.array ?? [] { page.row("why not", reason.string) }
    let back = receipt["limits_read_back"]
    for (name, title) in [("cgroup", "read back"), ("rlimits", "rlimits")] {
      let values = (back?[name]?.object ?? [:]).sorted { $0.key < $1.key }
      if values.isEmpty { continue }
      page.row(title, values.map { "\($0.key) \($0.value.string ?? $0.value.compactText)" }.joined(separator: ", "))
    }
  }

  private static func network(_ receipt: JSONValue, _ page: inout Page) {
    let network = receipt["network"]
    page.section("Network")
    let ports = (network?["ports"]?.array ?? []).map {
      "\(network?["gateway"]?.string ?? ""):\($0["port"]?.integer ?? 0) (\($0["name"]?.string ?? ""))"
    }
    page.row("open", ports.isEmpty ? "nothing" : ports.joined(separator: ", "))
    guard let denied = network?["denied"]?.array else { return }
    let overflow = network?["denied_overflow"]?.integer ?? 0
    if denied.isEmpty && overflow == 0 { return page.row("denied", "nothing was tried") }
    for (index, destination) in denied.enumerated() {
      let packets = destination["packets"]?.integer ?? 0
      page.row(
        index == 0 ? "denied" : "", "\(DeniedSummary.place(destination)), \(packets) packet\(packets == 1 ? "" : "s")")
    }
    if overflow > 0 { page.row("", "other destinations, \(overflow) packet\(overflow == 1 ? "" : "s")") }
  }

  private static func used(_ receipt: JSONValue, _ page: inout Page) {
    guard let usage = receipt["usage"]?.object, !usage.isEmpty else { return }
    page.section("Used")
    page.row("cpu", usage["cpu_seconds"]?.double.map { "\(decimal($0, 3)) s" })
    page.row("memory peak", usage["memory_peak_bytes"]?.integer.map(bytes))
    page.row("tasks peak", usage["pids_peak"]?.integer.map { "\($0)" })
    guard let io = usage["io"] else { return }
    page.row("read", bytes(io["read_bytes"]?.integer ?? 0) + " in \(io["reads"]?.integer ?? 0)")
    page.row("written", bytes(io["written_bytes"]?.integer ?? 0) + " in \(io["writes"]?.integer ?? 0)")
  }

  /// What the runner adds.
  private static func work(_ receipt: JSONValue, _ page: inout Page) {
    guard let agent = receipt["agent_id"]?.string else { return }
    page.section("Work")
    page.row("agent", agent)
    page.row("tool", receipt["tool_type"]?.string)
    page.row("status", receipt["status"]?.string)
    page.row("attempt", receipt["attempt"]?.integer.map { "\($0)" })
    page.row("failure", receipt["failure"]?.string)
    guard let consumption = receipt["consumption"] else { return }
    let (input, output) = (consumption["tokens_input"]?.integer ?? 0, consumption["tokens_output"]?.integer ?? 0)
    page.row("tokens", "\(input) in, \(output) out")
  }

  /// `1.5 MiB`, `12 B`.
  static func bytes(_ count: Int64) -> String {
    var (value, unit) = (Double(count), 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return "\(decimal(value, unit == 0 || value == value.rounded() ? 0 : 1)) \(units[unit])"
  }

  /// With so many digits behind the point.
  static func decimal(_ value: Double, _ digits: Int) -> String {
    let scale = [1, 10, 100, 1000][digits]
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    let scaled = Int64((abs(value) * Double(scale)).rounded())
    let whole = "\(value < 0 ? "-" : "")\(scaled / Int64(scale))"
    if digits == 0 { return whole }
    let rest = "\(scaled % Int64(scale))"
    return whole + "." + String(repeating: "0", count: digits - rest.count) + rest
  }
}
