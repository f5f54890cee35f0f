import Glibc
import JSON
import Linux

private let hub = "http://127.0.0.1:8455/api/v1"
private let key = "key-of-the-machine"

/// The whole system as units: a mention is answered.
func checkRunner(_ report: inout Report) {
  report.check("units: Redis, coordinator and a runner start, and an agent answers a mention") {
    for unit in ["redis-server.service"] { try Unit(name: unit).start() }
    try must([
      "/usr/bin/systemd-run", "--quiet", "--unit=machine-hub", "--setenv=HUB_API_KEY=\(key)", "--",
      "/usr/local/bin/botburrow", "hub", "--agent", "echo-agent",
    ])
    try eventually("the Hub's answering") { UnixSocketOrPort.accepts(port: 8455) ? true : nil }
    let units = ["botburrow-coordinator.service", "botburrow-runner@notification.service"].map(Unit.init)
    for unit in units { try unit.start() }
    defer { for unit in units { try? unit.stop() } }
    let post = try call("/posts", ["agent_id": "ann", "content": "@echo-agent how many words is this?"])
    guard let id = post["id"]?.string else { throw Unmet("the Hub says \(post)") }
    do {
      let answer = try eventually("an answer", within: .seconds(90)) {
        try call("/posts/\(id)?include_comments=true")["comments"]?.array?.first?["content"]?.string
      }
      try expect(answer.hasPrefix("You asked me"), "the answer is '\(answer)'")
      for unit in units {
        let state = (try unit.property("ActiveState"), try unit.property("NRestarts"))
        try expect(state == ("active", "0"), "\(unit.name) is \(state)")
      }
      return answer
    } catch {
      let log = try run(["/usr/bin/journalctl", "--no-pager", "-n", "12", "-o", "cat", "-u", "botburrow-*"]).output
      throw Unmet("\(error); the log: \(log)")
    }
  }
  report.check("units: the runner wrote the receipt of a sandbox with every limit") {
    let folder = "/var/lib/botburrow/receipts"
    let name = try eventually("the receipt") { try files(in: folder).first { $0.hasSuffix(".json") } }
    let receipt = try JSONValue(parsing: try readFile("\(folder)/\(name)").utf8)
    try expect(receipt["exit"]?["code"]?.integer == 0, "it ended: \(String(describing: receipt["exit"]))")
    try expect(receipt["not_enforced"]?.array == [], "not enforced: \(String(describing: receipt["not_enforced"]))")
    try expect(receipt["limits"]?["memory_bytes"]?["value"]?.integer == 64 << 20, "the agent's own limit is not in it")
    return name
  }
}

private func call(_ path: String, _ body: JSONValue? = nil) throws -> JSONValue {
  let post = try body.map { ["--header", "Content-Type: application/json", "--post-data", try JSON.text($0)] } ?? []
  let said = try must(
    ["/bin/busybox", "wget", "-q", "-O", "-", "--header", "Authorization: Bearer \(key)"] + post + [hub + path])
  return try JSONValue(parsing: said.utf8)
}

enum UnixSocketOrPort {
  /// Whether somebody listens at a port of loopback.
  static func accepts(port: UInt16) -> Bool {
    let wanted = String(port, radix: 16, uppercase: true)
    let table = (try? readFile("/proc/net/tcp")) ?? ""
    // Local address, then remote; state 0A is LISTEN (proc_pid_net_tcp(5)).
    return table.split(separator: "\n").contains {
      let fields = $0.split(separator: " ")
      return fields.count > 3 && fields[1].hasSuffix(":" + wanted) && fields[3] == "0A"
    }
  }
}
