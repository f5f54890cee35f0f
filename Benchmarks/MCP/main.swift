import Agents
import Gateway
import Glibc
import JSON
import Linux

// What a call of a tool costs through the gateway, beside the same call to the same server on its bare pipes. Both are made in
// turn, in one run, by one thread that waits for each answer.

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 2000
let arguments = #"{"text":"\#(String(repeating: "burrow ", count: 20))"}"#

let bare = try Server.start()
_ = try bare.ask(#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#)
let behind = try Server.start()
let client = try await StdioClient.start(
  input: behind.input.release(), output: behind.output.release(), errors: behind.errors.release())
let listener = GatewayListener()
var entry = ServerEntry(name: "echo", place: .url("", headers: [:]))
entry.grants = []
let tools = ProxiedTools(entry, held: HeldGrants(allowed: [])) { () async throws(DownstreamError) in client }
let session = GatewaySession(activationID: "bench", agentID: "bench", token: "token", grants: [])
let port = try await listener.serve(
  MCPServer(session: session, tools: tools, audit: Audit { _ in }), at: .tcp(host: "127.0.0.1", port: 0))
let http = try Connection(port: port)

var bareTimes: [Duration] = []
var gatewayTimes: [Duration] = []
for round in 0..<(rounds + 200) {
  let call =
    #"{"jsonrpc":"2.0","id":\#(round + 1),"method":"tools/call","params":{"name":"echo","arguments":\#(arguments)}}"#
  let first = ContinuousClock.now
  _ = try bare.ask(call)
  let second = ContinuousClock.now
  try http.post(call)
  let third = ContinuousClock.now
  if round >= 200 {
    bareTimes.append(first.duration(to: second))
    gatewayTimes.append(second.duration(to: third))
  }
}
await listener.stop()
client.close()
bare.end()
behind.end()

func milliseconds(_ times: [Duration], _ share: Double) -> Double {
  let sorted = times.sorted()
  return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] / .milliseconds(1)
}
func shown(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }

print("| a tool call (\(rounds) each, in turn) | p50 ms | p99 ms |")
print("|---|---|---|")
print("| bare stdio server | \(shown(milliseconds(bareTimes, 0.5))) | \(shown(milliseconds(bareTimes, 0.99))) |")
print(
  "| through the MCP gateway | \(shown(milliseconds(gatewayTimes, 0.5))) | \(shown(milliseconds(gatewayTimes, 0.99))) |"
)
let added = milliseconds(gatewayTimes, 0.5) - milliseconds(bareTimes, 0.5)
print("| added | \(shown(added)) | |")
if added > 1 {
  print("the gateway adds more than 1 ms")
  exit(1)
}
