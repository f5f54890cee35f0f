import Glibc
import JSON
import Linux

private let botburrow = "/usr/local/bin/botburrow"

/// cgroups that systemd delegates: to the supervisor's unit, and to a scope where there is no supervisor.
func checkDelegation(_ report: inout Report) {
  report.check("delegation: the shipped unit has a delegated cgroup, and sandboxes are below it") {
    let unit = Unit.supervisor
    let state = (try unit.property("ActiveState"), try unit.property("Delegate"), try unit.property("NRestarts"))
    try expect(state == ("active", "yes", "0"), "the unit is \(state)")
    let group = try unit.group()
    try expect(group.isDelegated, "\(group.path) is not marked as delegated")
    let trial = try Trial(inside: "wait")
    try trial.line("waiting")
    let path = try trial.group().path
    try expect(path.hasPrefix(group.path + "/botburrow-"), "the sandbox is in \(path)")
    try expect(try trial.finish().exit == .exited(code: 0), "it did not end with 0")
    return path
  }
  report.check("delegation: systemd's own look at the unit finds no fault") {
    let units = try must(["/usr/bin/systemctl", "list-unit-files", "--no-legend", "--plain", "botburrow-*"])
    let names = units.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
    try expect(names.count >= 4, "units: \(names)")
    let (end, said) = try run(
      ["/usr/bin/systemd-analyze", "verify", "--man=no"] + names.map { $0.replacing("@.", with: "@hybrid.") })
    try expect(end == .exited(0) && !said.contains("botburrow"), said)
    return names.joined(separator: " ")
  }
  report.check("delegation: 'sandbox run' without a supervisor works in a delegated scope of its own, with every limit")
  {
    try expect(!(try ControlGroup.current().isDelegated), "this unit is delegated itself")
    let before = try Holdings.now()
    let (child, input, output) = try startStandalone(["/bin/sh", "-c", "echo running; read -r line; exit 3"])
    try waitFor("running", from: output)
    guard let scope = try scopes().first, let group = try scope.group().processes.first else {
      throw Unmet("there is no scope with processes: \(try scopes().map(\.name))")
    }
    try expect(try scope.property("Delegate") == "yes", "\(scope.name) is not delegated")
    input.close()
    let end = try child.wait()
    try expect(end == .exited(3), "it ended with \(String(describing: end)), one of its processes was \(group)")
    let receipt = try readReceipt()
    try expect(receipt["not_enforced"]?.array == [], "not enforced: \(receipt["not_enforced"] ?? .null)")
    try eventually("the end of the scope") { try scopes().isEmpty ? true : nil }
    try eventually("its leaving nothing") { try Holdings.now().beyond(before).isEmpty ? true : nil }
    return scope.name
  }
  report.check("delegation: 'sandbox run' in a scope that somebody else had delegated stays there") {
    let (end, said) = try runInScope([])
    try expect(end == .exited(0), "\(end): \(said)")
    let receipt = try readReceipt()
    try expect(receipt["not_enforced"]?.array == [], "not enforced: \(receipt["not_enforced"] ?? .null)")
    return receipt["exit"]?["cause"]?.string ?? ""
  }
  report.check("delegation: control: where the cpu controller is not to be had, it refuses and says what is missing") {
    let (end, said) = try runInScope([], slice: "nocpu.slice")
    try expect(end == .exited(125) && said.contains("'cpu' is not available"), "\(end): \(said)")
    return String(said.dropLast())
  }
  report.check("delegation: control: with --cgroup best-effort it runs there, and the receipt names the limit") {
    let (end, said) = try runInScope(["--cgroup", "best-effort"], slice: "nocpu.slice")
    try expect(end == .exited(0), "\(end): \(said)")
    let lacking = try readReceipt()["not_enforced"]?.array ?? []
    try expect(lacking.count == 1 && lacking[0].string?.hasPrefix("cpus") ?? false, "not enforced: \(lacking)")
    return lacking[0].string ?? ""
  }
}

private let receiptPath = "/run/machine-receipt.json"
private func readReceipt() throws -> JSONValue { try JSONValue(parsing: try readFile(receiptPath).utf8) }

private func runInScope(_ options: [String], slice: String = "system.slice") throws -> (end: ProcessEnd, output: String)
{
  try run(
    ["/usr/bin/systemd-run", "--scope", "--quiet", "--collect", "--slice=\(slice)", "--property=Delegate=yes", "--"]
      + [botburrow, "sandbox", "run", "--standalone", "--receipt", receiptPath] + options + ["--", "/bin/true"])
}

private func startStandalone(_ command: [String]) throws -> (ProcessHandle, Descriptor, Descriptor) {
  let (stdin, stdout) = (try makePipe(), try makePipe())
  let arguments =
    [botburrow, "sandbox", "run", "--standalone", "--receipt", receiptPath, "--"] + command
  let child = try ProcessHandle(
    child: spawn(
      botburrow, arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      descriptors: [stdin.read, stdout.write, .borrowed(2)]))
  return (child, stdin.write, stdout.read)
}

private func waitFor(_ word: String, from output: Descriptor) throws {
  guard try waitReadable([output], timeout: .seconds(60))[0] else { throw Unmet("no word from inside within 60 s") }
  var buffer = [UInt8](repeating: 0, count: 256)
  let count = read(output.number, &buffer, buffer.count)
  let said = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
  try expect(said == word + "\n", "inside it says '\(said)'")
}

/// Scopes that 'sandbox run' made, by systemd's own naming.
private func scopes() throws -> [Unit] {
  try must(["/usr/bin/systemctl", "list-units", "--type=scope", "--no-legend", "--plain", "run-*.scope"])
    .split(separator: "\n").compactMap { $0.split(separator: " ").first.map { Unit(name: String($0)) } }
}
