import Glibc
import JSON
import ModelStandIn

// botburrow-tools: every tool that is installed, in every case, through the whole system (`make tools`).

let usage = """
  usage: botburrow-tools [--botburrow PROGRAM] [--prefix DIRECTORY] [--tool KIND] [--case NAME] [--keep] [--json]

  Runs the real tools of agents that `make tools` installed, each in its shipped profile: a post mentions an agent, the
  coordinator queues it, a runner runs it in a sandbox, its answer is a comment. The models are a stand-in on this machine
  that says what each case tells it to. Needs root. Exit 1 if something isn't as it should be.

    --tool, --case   only these; may be given more than once
    --keep           leave the system's log behind

  """

var options: [String: [String]] = [:]
var rest = CommandLine.arguments.dropFirst()
while let name = rest.popFirst() {
  switch name {
  case "-h", "--help":
    print(usage)
    exit(0)
  case "--keep", "--json": options[name] = []
  case "--botburrow", "--prefix", "--tool", "--case":
    guard let value = rest.popFirst() else {
      complain("\(name) needs a value")
      exit(2)
    }
    options[name, default: []].append(value)
  default:
    complain("'\(name)' is no option; --help tells")
    exit(2)
  }
}
let prefix = options["--prefix"]?.last ?? "/opt/botburrow/tools"
let own = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
let program = options["--botburrow"]?.last ?? (own + ["botburrow"]).joined(separator: "/")
guard geteuid() == 0 else {
  complain("needs root: the supervisor makes namespaces")
  exit(2)
}

var table: [[String]] = []
var reports: [JSONValue] = []
var failures = 0
do {
  let wanted = ToolUnderTest.all.filter { tool in options["--tool"].map { $0.contains(tool.kind) } ?? true }
  let cases = Case.allCases.filter { one in options["--case"].map { $0.contains(one.rawValue) } ?? true }
  let present = wanted.filter { tool in tool.program.map { access("\(prefix)/bin/\($0)", X_OK) == 0 } ?? true }
  for tool in wanted where !present.contains(where: { $0.kind == tool.kind }) {
    table.append([
      tool.kind, "all", "skipped", "", "", "", "no \(prefix)/bin/\(tool.program ?? ""); scripts/tools.sh says why",
    ])
  }
  let trials = present.flatMap { tool in cases.map { Trial(tool: tool, case: $0) } }
  for outcome in try await runAll(trials, program: program, keep: options["--keep"] != nil) {
    let problems = outcome.problems
    if !problems.isEmpty { failures += 1 }
    let after = outcome.secondsAfterDenial.map { "\(rounded($0)) s after denial; " } ?? ""
    table.append([
      outcome.trial.tool.kind, outcome.trial.case.rawValue, problems.isEmpty ? "ok" : "WRONG",
      "\(rounded(outcome.seconds)) s", "\(outcome.told.input)+\(outcome.told.output)",
      outcome.wasCut ? "cut" : "\(outcome.sent.input)+\(outcome.sent.output)",
      problems.isEmpty ? after + (outcome.comment ?? outcome.error ?? "") : problems.joined(separator: "; "),
    ])
    reports.append([
      "tool": .string(outcome.trial.tool.kind), "case": .string(outcome.trial.case.rawValue),
      "problems": .array(problems.map { .string($0) }), "seconds": .number(outcome.seconds),
      "tokens_counted": [.integer(Int64(outcome.told.input)), .integer(Int64(outcome.told.output))],
      "tokens_sent": [.integer(Int64(outcome.sent.input)), .integer(Int64(outcome.sent.output))],
      "seconds_after_denial": outcome.secondsAfterDenial.map { .number($0) } ?? .null,
      "error": outcome.error.map { .string($0) } ?? .null, "comment": outcome.comment.map { .string($0) } ?? .null,
    ])
  }
} catch {
  complain("\(error)")
  exit(2)
}
if options["--json"] != nil {
  print(JSONValue.array(reports).compactText)
} else {
  show(["tool", "case", "", "took", "counted", "sent", "what came of it"], table)
}
exit(failures == 0 ? 0 : 1)
