import JSON
import Linux
import TestSupport
import Testing

/// Definitions from a bucket, read with signed requests from a server that checks them.
@Suite struct BucketTests {
  private static let refusal = """
    status 403 (SignatureDoesNotMatch); check R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY and r2.region, \
    and that the key may read this bucket
    """

  private func options(_ server: S3Server, bucket: String, secret: String) async throws -> Machine.Options {
    try await server.makeBucket(
      bucket, objects: ["agents/echo-one/config.yaml": Agent.echo("echo-one").yaml(mark: "bucket")])
    return Machine.Options(
      agents: [.echo("echo-one")],
      definitions: "r2: {bucket: \(bucket), endpoint: \"\(server.endpoint)\"}",
      environment: ["R2_ACCESS_KEY_ID": server.accessKeyID, "R2_SECRET_ACCESS_KEY": secret])
  }

  @Test func theMainPath() async throws {
    let server = try await S3Server.shared()
    let options = try await options(server, bucket: "acceptance-good", secret: server.secretAccessKey)
    try await Machine.with(options) { machine in
      let daemons = [
        try await machine.supervisor(), try await machine.runner(), try await machine.coordinator(),
      ]
      let post = try await machine.hubAPI.post("@echo-one from the bucket")
      try await until("an answer", within: .seconds(20)) { try await machine.hubAPI.comments(post).count == 1 }
      #expect(try await machine.hubAPI.comments(post).first?.text.hasPrefix("You asked me ") == true)
      for daemon in daemons.reversed() { #expect(try await daemon.terminate() == .exited(0)) }
    }
  }

  @Test func aWrongSecretIsNamedAndNeverShown() async throws {
    let server = try await S3Server.shared()
    let secret = "not-the-secret-of-this-key"
    let options = try await options(server, bucket: "acceptance-bad", secret: secret)
    try await Machine.with(options) { machine in
      let check = try await Program.start(
        "check", [Product.botburrow, "agents", "check", "--config", machine.configuration], in: machine.folder.path,
        environment: ["HUB_API_KEY": Machine.key].merging(options.environment) { $1 })
      #expect(try await check.ended(within: .seconds(20)) == .exited(1))
      #expect(
        check.errors == """
          botburrow: bucket 'acceptance-bad', key 'agents/': \(Self.refusal)

          """)

      let daemons = [try await machine.supervisor(), try await machine.runner()]
      let post = try await machine.hubAPI.post("a question")
      try await machine.push(["agent_id": "echo-one", "post_id": .string(post)])
      let record = try await eventually("the runner's word", within: .seconds(15)) {
        daemons[1].logged("activation").first
      }
      #expect(
        record["error"]?.string == """
          the definition of agent echo-one can't be used: \
          bucket 'acceptance-bad', key 'agents/echo-one/config.yaml': \(Self.refusal)
          """)
      #expect(try await machine.hubAPI.comments(post).isEmpty)
      for daemon in daemons.reversed() {
        #expect(try await daemon.terminate() == .exited(0))
        #expect(!daemon.errors.contains(secret))
      }
    }
  }
}
