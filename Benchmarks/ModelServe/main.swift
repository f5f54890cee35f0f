import Configuration
import Glibc
import ModelGateway

// The model gateway alone, in a process of its own, so that what it takes can be read from /proc: many activations, each a
// listener, as in a runner. Arguments: the provider's base, then how many listeners. Prints their ports, a line each, and
// serves until standard input ends.

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]), count > 0 else {
  print("usage: botburrow-bench-model-serve http://127.0.0.1:PORT LISTENERS")
  exit(2)
}
var provider = ModelProvider(name: "anthropic", apiBase: arguments[1], dialects: [.anthropic], key: "upstream-key")
provider.maxConcurrent = 10_000
let providers = ModelProviders([provider.name: provider], audit: ModelAudit { _ in })
let choice = ModelChoice(provider: provider, key: "upstream-key", model: "bench", usualOutput: 1024)
var gateways: [ModelGatewayListener] = []
for number in 0..<count {
  let session = ModelSession(
    activationID: "bench-\(number)", agentID: "bench", token: "bench-token", choice: choice, maxTokens: nil)
  let gateway = ModelGatewayListener()
  print(try await gateway.serve(session, providers, at: .tcp(host: "127.0.0.1", port: 0)))
  gateways.append(gateway)
}
fflush(nil)
while getchar() != EOF {}
for gateway in gateways { await gateway.stop() }
