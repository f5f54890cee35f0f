import Agents
import Configuration
import Executors
import Glibc
import HTTPClient
import JSON
import ModelGateway
import ModelStandIn
import Sandbox
import Testing

@testable import Runner

/// An activation at its model: the gateway's word comes first, and its counts are those that are reported.
@Suite struct ModelTests {
  static let verdicts: [(ModelVerdict, ActivationFailure.Status, ActivationFailure.Remedy)] = [
    (.activationBudget, .budget, .dead), (.agentBudget, .budget, .deferred(.seconds(900))),
    (.modelNotPermitted("x"), .failed, .dead), (.unknownModel("x"), .failed, .dead),
    (.account(status: 401), .failed, .dead), (.account(status: 402), .failed, .dead),
    (.overloaded(status: 429, retryAfter: 7), .failed, .deferred(.seconds(7))),
    (.overloaded(status: 529, retryAfter: nil), .failed, .deferred(.seconds(30))),
    (.unreachable, .failed, .deferred(.seconds(30))), (.resting(retryAfter: 12), .failed, .deferred(.seconds(12))),
    (.failed(status: 500), .failed, .retry(after: nil)), (.cut, .failed, .retry(after: nil)),
  ]

  @Test(arguments: verdicts)
  func theTable(_ verdict: ModelVerdict, _ status: ActivationFailure.Status, _ remedy: ActivationFailure.Remedy) {
    let failure = ActivationFailure(verdict)
    #expect(failure.status == status)
    #expect(failure.remedy == remedy)
  }

  @Test func theGatewaysWordComesBeforeAllOthers() {
    let good = SandboxResult(
      output: Array("All is well.".utf8), receipt: Receipt(activationID: "a", exit: .exited(code: 0), json: [:]))
    let overdue = SandboxResult(output: [], receipt: Receipt(activationID: "a", exit: .timeout, json: [:]))
    let executor = FakeExecutor.custom
    #expect(Said.read(good, with: executor).text == "All is well.")
    #expect(Said.read(good, with: executor, verdict: .activationBudget).failure?.status == .budget)
    #expect(Said.read(overdue, with: executor).failure?.status == .timeout)
    #expect(Said.read(overdue, with: executor, verdict: .account(status: 401)).failure?.remedy == .dead)
  }

  /// A program that calls its model once and says what came of it.
  func call(_ program: FakeLauncher.Program, tokens: Int64 = 100) async throws -> HTTPResponse {
    try await HTTPClient().send(
      HTTPRequest(
        method: "POST", url: "http://127.0.0.1:\(program.hubPort)/v1/messages",
        headers: [("x-api-key", program.request.environment["BOTBURROW_GATEWAY_TOKEN"] ?? "")],
        body: Array(
          (["model": "m", "max_tokens": .integer(tokens), "messages": [["role": "user", "content": "x"]]] as JSONValue)
            .compactText.utf8)))
  }

  func world(_ standIn: ModelStandIn, maxTokens: Int? = 100_000, _ launcher: FakeLauncher) throws -> (
    World, RunnerServices
  ) {
    var provider = ModelProvider(name: "anthropic", apiBase: standIn.url, dialects: [.anthropic], key: "stand-in-key")
    provider.prices = ["m": ModelPrice(input: 1, output: 1)]
    let world = try World(launcher, agents: [agent { $0.brain.model = "m" }])
    var services = world.services
    services.models = ModelProviders(["anthropic": provider], audit: ModelAudit { _ in })
    services.policy.maxTokens = maxTokens
    services.policy.modelGrace = .milliseconds(200)
    // Whatever else waits here must not end the test.
    return (world, services)
  }

  @Test func whatTheGatewayCountedIsReported() async throws {
    let standIn = try await ModelStandIn.start(Scenario([.init("Good.")]))
    let launcher = FakeLauncher { program in
      let status = try await call(program).status
      return FakeLauncher.End(output: #"{"answer":"\#(status)","usage":{"tokens_input":1,"tokens_output":1}}"#)
    }
    let (world, services) = try world(standIn, launcher)
    var activation = world.activation()
    activation = Activation(task: activation.task, services: services)
    let end = await activation.perform()
    #expect(end.failure == nil)
    #expect(end.answer == "200")
    #expect(end.consumption?.tokens_input == 1031)
    #expect(end.consumption?.tokens_output == 7)
    #expect(end.consumption?.model == "m")
    #expect(world.hub.state.consumption.first?.0.tokens_input == 1031)
    #expect(launcher.programs.first?.request.listeners.map(\.name) == ["model"])
    await standIn.stop()
  }

  @Test func aProgramThatGoesOnAfterTheDenialIsEnded() async throws {
    let standIn = try await ModelStandIn.start(Scenario([.init("Good.")]))
    let launcher = FakeLauncher { program in
      while true {
        _ = try await call(program, tokens: 300)
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    let (world, services) = try world(standIn, maxTokens: 1200, launcher)
    let started = ContinuousClock.now
    let end = await Activation(task: world.activation().task, services: services).perform()
    #expect(end.failure?.status == .budget)
    #expect(end.failure?.description.hasPrefix("activation budget exhausted") == true)
    #expect(end.consumption?.tokens_input == 1031)
    #expect(end.sandbox?.exit == .cancelled)
    // It would go on for ever.
    #expect(started.duration(to: .now) < .seconds(60))
    #expect(world.hub.state.consumption.count == 1)
    await standIn.stop()
  }

  @Test func aProgramWithoutAProviderHasNoModel() async throws {
    let launcher = FakeLauncher(says: "Hello.")
    let world = try World(launcher, agents: [agent { $0.brain.model = "m" }])
    let end = await world.activation().perform()
    #expect(end.failure == nil)
    #expect(launcher.programs.first?.request.listeners.isEmpty == true)
  }

  @Test func aToolWithoutAProviderIsNotRun() async throws {
    let launcher = FakeLauncher(says: "Hello.")
    var tool = agent()
    tool.definition.kind = .claudeCode
    tool.definition.brain.model = "m"
    let world = try World(launcher, agents: [tool])
    let end = await world.activation().perform()
    #expect(end.failure?.remedy == .dead)
    #expect(end.failure?.description.contains("providers.anthropic") == true)
    #expect(launcher.programs.isEmpty)
  }
}

enum FakeExecutor {
  static let custom = CustomExecutor()
}
