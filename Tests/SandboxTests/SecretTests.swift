import Glibc
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

@Suite("Secret environment") struct SecretTests {
  @Test func `Names and values that no environment can hold are refused, and no value is shown`() throws {
    for (variables, words) in [
      (["A=B": "hidden"], "'A=B' can't be"), (["": "hidden"], "'' can't be"), (["A": "hid\0den"], "'A' can't be"),
      ([:], "0 secret variables"), (["A": String(repeating: "x", count: 70_000)], "1 secret variables of 70003 bytes"),
      (Dictionary(uniqueKeysWithValues: (0...64).map { ("N\($0)", "") }), "65 secret variables"),
    ] as [([String: String], String)] {
      let refusal = #expect(throws: SandboxRefused.self) { try SecretEnvironment.sealed(variables) }
      #expect(refusal?.description.contains(words) == true)
      #expect(refusal?.description.contains("hid") == false)
    }
    try SecretEnvironment.check(try SecretEnvironment.sealed(["A": "b"]))
    #expect(throws: LinuxError.self) { try SecretEnvironment.check(try makePipe().read) }
    #expect(throws: LinuxError.self) { try SecretEnvironment.check(try Descriptor.sealed([], name: "empty")) }
  }

  @Test func `The request says that there are secrets, and nothing of them`() throws {
    var request = SandboxRequest(activationID: "a", profile: "p", arguments: ["x"])
    request.hasSecrets = true
    #expect(request.objection(descriptors: 3) == "0 files, secrets and 3 streams need 4 descriptors, 3 came")
    #expect(request.objection(descriptors: 4) == nil)
    let message = try ClientMessage(parsing: try ClientMessage(spawn: request).bytes)
    #expect(message.spawn == request)
  }

  @Test(.enabled(if: isRoot, "needs root")) func `They are the program's environment, and in no receipt`() async throws
  {
    let supervisor = try TestSupervisor()
    var wanted = request(["/bin/sh", "-c", "env | sort; read line; cat /proc/self/environ | tr '\\0' '\\n' | head -1"])
    wanted.environment = ["PLAIN": "1", "TWICE": "plain"]
    wanted.hasSecrets = true
    let sandbox = try await supervisor.launcher.attach(
      wanted, files: [], secrets: ["TOKEN": "canary-7f3", "TWICE": "secret", "EMPTY": ""], serve: { _ in })
    try sandbox.streams.input.write("go on\n".utf8)
    let receipt = try await sandbox.receipt()
    let output = String(decoding: try sandbox.streams.output.readAll(limit: 1 << 16), as: UTF8.self)
    #expect(receipt.exit == .exited(code: 0))
    #expect(output.contains("TOKEN=canary-7f3\n"))
    #expect(output.contains("PLAIN=1\n"))
    #expect(output.contains("EMPTY=\n"))
    #expect(output.contains("TWICE=secret\n"))
    #expect(!receipt.json.compactText.contains("canary"))
    #expect(!supervisor.log.contains("canary"))
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test(.enabled(if: isRoot, "needs root")) func `As many as there is room for`() async throws {
    let supervisor = try TestSupervisor()
    var wanted = request(["/bin/sh", "-c", "env | grep -c ^SECRET_"])
    wanted.hasSecrets = true
    let secrets = Dictionary(
      uniqueKeysWithValues: (0..<64).map { ("SECRET_\($0)", String(repeating: "x", count: 900)) })
    let sandbox = try await supervisor.launcher.attach(wanted, files: [], secrets: secrets, serve: { _ in })
    #expect(try await sandbox.receipt().exit == .exited(code: 0))
    #expect(String(decoding: try sandbox.streams.output.readAll(limit: 100), as: UTF8.self) == "64\n")
    #expect(try supervisor.stop() == .exited(0))
  }
}
