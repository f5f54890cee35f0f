import Glibc
import JSON
import ModelStandIn

// botburrow-tools: every tool that is installed, in every case, through the whole system (`make tools`).

let usage = """
  usage: botburrow-tools [--botburrow PROGRAM] [--prefix DIRECTORY] [--tool KIND] [--case NAME] [--keep] [--json]

  Runs the real tools of agents that `make tools` installed, each in its shipped profile: a post mentions an agent, the
  coordinator queues it, a runner runs it in a sandbox, its answer is a comment. The models are a stand-in on this machine
  that says what each case tells it to. Each line shows how long an activation took, and its tokens as the Hub was told
  and as the stand-in sent them. The last line: tools: cases N, held N, skipped N.

    --botburrow      the command to run (default: beside this program)
    --prefix         where the tools are (default: /opt/botburrow/tools)
    --tool, --case   only these; may be given more than once
    --keep           leave the system's log behind
    --json           {cases, held, skipped: [{tool, reason}], missing: [{tool, problem}], outcomes: […]}

  Needs root. What can't be had (no package, no registry) is skipped, with the reason. Exit: 0 every case held, 1 one
  didn't or a tool is missing that could be had, 2 the cases couldn't be run.

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

/// Not packages of PyPI: how they are started is tested by golden files until a binary can be had.
let goldenOnly = ["goose", "opencode"]

@MainActor func chosen(_ name: String, _ option: String) -> Bool { options[option].map { $0.contains(name) } ?? true }

var report = Report()
do {
  let installed = try Installed(prefix: prefix)
  /// Notes one that isn't there.
  @MainActor func note(_ name: String) {
    if let reason = installed.reason(name) {
      report.skips.append(.init(tool: name, why: reason))
    } else {
      report.missing.append(.init(tool: name, trouble: installed.trouble(name)))
    }
  }
  var present: [ToolUnderTest] = []
  for tool in ToolUnderTest.all where chosen(tool.kind, "--tool") {
    if tool.program.map(installed.has) ?? true { present.append(tool) } else { note(tool.kind) }
  }
  for name in goldenOnly where chosen(name, "--tool") {
    report.skips.append(
      .init(tool: name, why: "PyPI doesn't have it; its command and files are compared with golden ones"))
  }
  let pages = try await Pages.start()
  var servers: [ServerUnderTest] = []
  for server in ServerUnderTest.all(pages) {
    if installed.has(server.program) { servers.append(server) } else { note(server.program) }
  }
  let cases = Case.allCases.filter { chosen($0.rawValue, "--case") }
  let trials = present.flatMap { tool in
    cases.filter { $0.suits(tool) && ($0 != .sidecars || !servers.isEmpty) }.map {
      Trial(tool: tool, case: $0, installed: servers)
    }
  }
  report.outcomes = try await runAll(trials, program: program, keep: options["--keep"] != nil)
  await pages.stop()
} catch {
  complain("\(error)")
  exit(2)
}
if options["--json"] != nil { print(report.json.compactText) } else { report.show() }
exit(report.held == report.cases && report.cases > 0 ? 0 : 1)
