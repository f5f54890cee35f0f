import JSON
import Linux
import Testing

@testable import Sandbox

private func request(_ change: (inout SandboxRequest) -> Void = { _ in }) -> SandboxRequest {
  var request = SandboxRequest(activationID: "a-1", profile: "default", arguments: ["true"])
  change(&request)
  return request
}

@Suite("Requests") struct RequestTests {
  @Test func `A plain request has nothing against it`() {
    #expect(request().objection(descriptors: 3) == nil)
    let full = request {
      $0.files = [.init(path: "a/b.txt"), .init(path: "output.md")]
      $0.listeners = [.init(name: "hub", port: 80), .init(name: "model-1", port: 81)]
      $0.limits = .init(memoryBytes: 1 << 20, cpus: 0.01, pids: 2, timeoutSeconds: 0.1)
    }
    #expect(full.objection(descriptors: 5) == nil)
  }

  static let objections: [(SandboxRequest, String)] = [
    (request { $0.activationID = "" }, "activationID '' must be 1 to 64 letters, digits, '-' or '_'"),
    (request { $0.activationID = "../x" }, "activationID '../x' must be 1 to 64 letters, digits, '-' or '_'"),
    (request { $0.arguments = [] }, "there is no command to run"),
    (request { $0.arguments = ["", "x"] }, "there is no command to run"),
    (request { $0.arguments = ["a\0b"] }, "arguments and environment can't hold a NUL byte"),
    (request { $0.environment = ["A": "x\0"] }, "arguments and environment can't hold a NUL byte"),
    (request { $0.workingDirectory = "/\0" }, "arguments and environment can't hold a NUL byte"),
    (request { $0.environment = ["A=B": "x"] }, "'A=B' can't be the name of an environment variable"),
    (request { $0.environment = ["": "x"] }, "'' can't be the name of an environment variable"),
    (request { $0.files = [.init(path: "a")] }, "1 files and 3 streams need 4 descriptors, 3 came"),
    (
      request { $0.listeners = (1...33).map { .init(name: "n\($0)", port: $0) } }, "33 listeners are more than 32"
    ),
    (
      request { $0.listeners = [.init(name: "a", port: 80), .init(name: "b", port: 80)] },
      "each listener needs a port of its own"
    ),
    (request { $0.listeners = [.init(name: "a", port: 0)] }, "each listener needs a port of its own"),
    (
      request { $0.listeners = [.init(name: "a", port: 80), .init(name: "a", port: 81)] },
      "two listeners have the same name"
    ),
    (
      request { $0.listeners = [.init(name: "a b", port: 80)] },
      "a listener's name 'a b' must be 1 to 64 letters, digits, '-' or '_'"
    ),
    (request { $0.limits.timeoutSeconds = 0 }, "timeoutSeconds 0.0 must be more than 0"),
    (request { $0.limits.timeoutSeconds = .nan }, "timeoutSeconds nan must be more than 0"),
    // -1 would be RLIM_INFINITY.
    (request { $0.limits.pids = -1 }, "pids -1 must be at least 2"),
    (request { $0.limits.memoryBytes = -1 }, "memoryBytes -1 must be at least 1048576"),
    // Multiplied and made an integer, this one ended the supervisor.
    (request { $0.limits.cpus = -1e300 }, "cpus -1e+300 must be at least 0.01"),
    (request { $0.limits.cpus = .nan }, "cpus nan must be at least 0.01"),
  ]

  @Test(arguments: objections) func `What is wrong is said exactly`(request: SandboxRequest, expected: String) {
    #expect(request.objection(descriptors: 3) == expected)
  }

  @Test(arguments: ["../x", "/etc/passwd", "a//b", "a/./b", "out", "out/x", "", "a\0"])
  func `A file's place can't be outside its directory`(path: String) {
    let request = request { $0.files = [.init(path: path)] }
    #expect(request.objection(descriptors: 4) == "'\(path)' can't be a file's place under /run/agent")
  }

  @Test func `Two files can't be at one place`() {
    let request = request { $0.files = [.init(path: "a"), .init(path: "a")] }
    #expect(request.objection(descriptors: 5) == "two files have the same place under /run/agent")
  }

  @Test func `Limits are tightened and never loosened`() {
    let profile = Profile.Limits(
      memory: 1 << 30, swap: 5, cpus: 1, pids: 100, openFiles: 64, fileSize: 1 << 20, timeout: .seconds(60))
    #expect(SandboxRequest.Limits().tightening(profile) == profile)
    let more = SandboxRequest.Limits(memoryBytes: .max, cpus: 1e300, pids: .max, timeoutSeconds: 9e6)
    #expect(more.tightening(profile) == profile)
    let less = SandboxRequest.Limits(memoryBytes: 1 << 20, cpus: 0.5, pids: 3, timeoutSeconds: 1.5).tightening(profile)
    #expect(less.memory == 1 << 20 && less.cpus == 0.5 && less.pids == 3 && less.timeout == .milliseconds(1500))
    #expect(less.swap == 5 && less.openFiles == 64 && less.fileSize == 1 << 20)
  }

  @Test func `Requests and causes survive the wire`() throws {
    let sent = ClientMessage(
      spawn: request {
        $0.environment = ["A": "ü=\n"]
        $0.limits = .init(memoryBytes: 1 << 40, cpus: 0.25)
        $0.listeners = [.init(name: "hub", port: 65535)]
        $0.workingDirectory = "/tmp"
      })
    #expect(try ClientMessage(parsing: try sent.bytes) == sent)
    let causes: [ExitCause] = [
      .exited(code: 7), .signal(9), .timeout, .oom, .cancelled, .lapsed,
      .setupFailed(operation: "mount proc", object: "/proc", reason: "EPERM"),
    ]
    for cause in causes { #expect(ExitCause(json: cause.json) == cause) }
    #expect(causes.map(\.shellCode) == [7, 137, 124, 137, 130, 130, 125])
    #expect(
      causes.map(\.description) == [
        "exited 7", "signal 9", "timeout", "out of memory", "cancelled", "its client's time ran out",
        "setup failed at mount proc /proc: EPERM",
      ])
    #expect(ExitCause(json: ["cause": "nonsense"]) == nil)
    #expect(ExitCause(json: nil) == nil)
  }

  @Test func `A text of the request can't make a receipt that fits no packet`() {
    let failure = SetupFailure(operation: "run", object: String(repeating: "x", count: 100_000), reason: "ENOENT")
    #expect(failure.object == String(repeating: "x", count: 200) + "…")
  }
}
