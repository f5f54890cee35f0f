import Glibc
import Linux
import Sandbox

/// What a runner does of a sandbox: asks for one with a file, a listener and perhaps a workspace, holds the connection, and
/// reads to the receipt. Arguments: socket, id, workspace or `-`, command.
func runClient(_ arguments: ArraySlice<String>) throws -> Int32 {
  try followParent(getppid())
  let words = Array(arguments)
  let null = try Descriptor.open("/dev/null", O_RDWR)
  do {
    let connection = try SandboxConnection.open(words[0])
    var request = SandboxRequest(
      activationID: "\(words[1])-\(getpid())", profile: "soak", arguments: Array(words[3...]),
      listeners: [.init(name: "hub", port: 8080)], files: [.init(path: "note")],
      limits: SandboxRequest.Limits(timeoutSeconds: 30))
    request.workspace = words[2] == "-" ? nil : words[2]
    try connection.spawn(request, streams: [null, null, null], files: [[1]])
    // Harmless, and one more thing that the supervisor does.
    try? connection.signal(SIGCONT)
    while true {
      if case .ended(let receipt) = try connection.next() { return receipt.exit == .exited(code: 0) ? 0 : 3 }
    }
  } catch {
    writeText(STDERR_FILENO, "\(error)\n")
    return 4
  }
}
