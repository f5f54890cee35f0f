import Agents
import Gateway
import Hub
import JSON
import Sandbox
import TestSupport
import Testing
import Work

@testable import Runner

@Suite("One activation, step by step")
struct ActivationTests {
  @Test("a mention becomes a comment, read marks, consumption, a receipt, a log line")
  func wholeWay() async throws {
    let world = try World(FakeLauncher(says: "Hi Ada\n"))
    let activation = world.activation()
    let end = await activation.perform()
    activation.close(end)
    #expect(end.failure == nil)
    let state = world.hub.state
    #expect(state.comments == [.init(postID: "12", agentID: "claude-coder-1", content: "Hi Ada", key: "a-1-0")])
    #expect(state.read == ["n1"])
    #expect(state.consumption.map(\.key) == ["a-1-3"])
    #expect(state.consumption.first?.0.tool_type == "custom")
    #expect(state.activated.map(\.key) == ["a-1-2"])
    #expect(
      state.calls == ["unreadNotifications(agentID:)", "post", "comment", "markRead", "report", "activated"])

    let receipt = try world.receipt("a-1")
    #expect(receipt["status"] == "success")
    #expect(receipt["agent_id"] == "claude-coder-1")
    #expect(receipt["seccomp_mode"] == 2)
    #expect(receipt["answer"] == ["posted": true, "comment_id": "made-1", "characters": 6])
    #expect(receipt["task"] == ["type": "notification", "post_id": "12", "notification_ids": ["n1"]])
    #expect(receipt["consumption"]?["tokens_input"] == 0)

    let line = try #require(world.logged.lines.first { $0.message == "activation" })
    for field in ["activation_id", "agent_id", "tool_type", "duration", "tokens"] {
      #expect(line.metadata[field] != nil)
    }
    #expect(line.metadata["tokens"] == ["input": .stringConvertible(0), "output": .stringConvertible(0)])
  }

  @Test("what a definition asks of its sandbox is compared with its profile")
  func sandboxChoice() {
    let base = """
      description: base
      limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }
      syscalls: { allow: [read] }
      """
    let source = ProfileSource(files: ["default.yaml": base, "broken.yaml": "description: x\nextends: nobody\n"])
    var choice = AgentDefinition.SandboxChoice()
    #expect(choice.limits == .init() && choice.tightening == nil)
    #expect(choice.problems(in: source) == [])
    choice.pids = 9
    choice.denied = ["read"]
    #expect(
      choice.problems(in: source) == [
        "'pids' is 9, more than the 8 of profile 'default'; a definition can only tighten",
        "'read' can't be denied: PID 1 of every sandbox needs it (reads the pipe and the signals)",
      ])
    choice.profile = "missing"
    #expect(choice.problems(in: source) == [])
    choice.profile = "broken"
    #expect(choice.problems(in: source).first?.hasPrefix("profile 'broken' can't be used: ") == true)
  }

  @Test("what the sandbox is asked for")
  func request() async throws {
    let hub = Grant(service: "hub", permission: "read")
    let launcher = FakeLauncher(says: "")
    let world = try World(
      launcher,
      agents: [
        agent(grants: [hub]) {
          $0.sandbox.profile = "strict"
          $0.sandbox.timeout = .seconds(90)
          $0.sandbox.openFiles = 64
          $0.sandbox.denied = ["chmod"]
        }
      ])
    _ = await world.activation().perform()
    let program = try #require(launcher.programs.first)
    #expect(program.request.activationID == "a-1")
    #expect(program.request.profile == "strict")
    #expect(program.request.arguments == ["/usr/bin/answer", "--now"])
    #expect(program.request.limits.timeoutSeconds == 90)
    var tightening = Tightening()
    tightening.openFiles = 64
    tightening.denied = ["chmod"]
    #expect(program.request.tightening == tightening)
    #expect(program.request.listeners == [.init(name: "hub", port: 8001)])
    #expect(program.request.environment["TZ"] == "UTC")
    #expect(program.request.environment["MCP_HUB_URL"] == "http://198.18.0.1:8001/mcp/hub")
    #expect(program.input.hasPrefix("You are claude-coder-1"))
    #expect(program.files["system.md"] == "Be kind.")
    #expect(program.files["prompt.md"] == program.input)
    let context = try JSONValue(parsing: Array((program.files["context.json"] ?? "").utf8))
    #expect(context["post"]?["content"] == "Hello @claude-coder-1")
    #expect(
      context["notifications"] == [
        ["id": "n1", "type": "mention", "post_id": "12", "from_agent": ["id": "u1", "name": "Ada"]]
      ])
  }

  @Test("an agent with a memory asks for its workspace, as large as the memory may be")
  func memory() async throws {
    let launcher = FakeLauncher(says: "")
    let world = try World(
      launcher,
      agents: [
        agent {
          $0.memory.enabled = true; $0.memory.maxSizeMiB = 7
        }
      ])
    _ = await world.activation().perform()
    let with = try #require(launcher.programs.first).request
    #expect(with.workspace == "claude-coder-1" && with.limits.workspaceBytes == 7 << 20)
    let other = FakeLauncher(says: "")
    _ = await (try World(other)).activation().perform()
    let without = try #require(other.programs.first).request
    #expect(without.workspace == nil && without.limits.workspaceBytes == nil)
  }

  @Test("an agent without a hub grant gets no listener and no server")
  func noGrant() async throws {
    let launcher = FakeLauncher(says: "")
    let world = try World(launcher)
    _ = await world.activation().perform()
    let request = try #require(launcher.programs.first?.request)
    #expect(request.profile == "default")
    #expect(request.listeners.isEmpty)
    #expect(request.environment["MCP_HUB_URL"] == nil)
  }

  @Test("nothing to say is a success: nothing posted, read marks set")
  func silent() async throws {
    let world = try World(FakeLauncher(says: " \n"))
    let end = await world.activation().perform()
    #expect(end.failure == nil)
    #expect(end.posted == .nothing(.silent))
    #expect(world.hub.state.comments.isEmpty)
    #expect(world.hub.state.read == ["n1"])
  }

  @Test("an agent that comments through its hub tools is not quoted a second time")
  func ownComment() async throws {
    let launcher = FakeLauncher { program in
      let answer = try await program.call("create_comment", ["post_id": "12", "content": "From inside"])
      return .init(output: answer["result"]?["isError"] == false ? "From outside" : "failed: \(answer)")
    }
    let world = try World(launcher, agents: [agent(grants: [Grant(service: "hub", permission: "write")])])
    let activation = world.activation()
    let end = await activation.perform()
    activation.close(end)
    #expect(end.failure == nil)
    #expect(end.posted == .nothing(.commentedItself))
    #expect(world.hub.state.comments.map(\.content) == ["From inside"])
    #expect(try world.receipt("a-1")["effects"] == [["kind": "comment", "id": "made-1", "post_id": "12"]])
  }

  @Test("a second run after a crash posts nothing twice, whatever it says")
  func again() async throws {
    let world = try World(FakeLauncher(says: "First words"))
    _ = await world.activation().perform()
    // The earlier run died before it marked what it had answered.
    world.hub.change { $0.read = [] }
    var second = world
    second.launcher = FakeLauncher(says: "Second words")
    let end = await second.activation(attempt: 1).perform()
    #expect(end.failure == nil)
    #expect(end.posted == .earlier)
    #expect(world.hub.state.comments.map(\.content) == ["First words"])
    #expect(world.hub.state.consumption.map(\.key) == ["a-1-3", "a-1-4"])
  }

  @Test("a later attempt whose notifications are all read runs nothing: they were answered")
  func answered() async throws {
    let launcher = FakeLauncher(says: "Words")
    let world = try World(launcher)
    world.hub.change { $0.read = ["n1"] }
    let end = await world.activation(attempt: 1).perform()
    #expect(end.failure == nil)
    #expect(end.posted == .earlier)
    #expect(launcher.programs.isEmpty)
    _ = await world.activation(attempt: 0).perform()
    #expect(launcher.programs.count == 1)
  }

  @Test("the Hub away for a moment is waited for, with one key")
  func shortOutage() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    let away = HubError(operation: "POST /posts/12/comments", status: 503, reason: "away")
    world.hub.fail("comment", [away, away])
    let end = await world.activation().perform()
    #expect(end.failure == nil)
    #expect(world.hub.state.comments.count == 1)
    #expect(world.hub.state.calls.filter { $0 == "comment" }.count == 3)
  }

  @Test("the Hub away for longer: again later, at the time that it asked for")
  func longOutage() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    world.hub.fail(
      "comment",
      [HubError(operation: "POST /posts/12/comments", status: 503, reason: "away", retryAfter: .seconds(120))])
    let end = await world.activation().perform()
    #expect(end.failure?.description == "the answer can't be posted: Hub: POST /posts/12/comments: away")
    #expect(end.failure?.remedy == .deferred(.seconds(120)))
    #expect(world.hub.state.read.isEmpty)
  }

  @Test("a Hub that takes the comment and answers nonsense has the comment")
  func nonsense() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    world.hub.fail(
      "comment", [HubError(operation: "POST /posts/12/comments", status: 201, reason: "answered 201 with text")])
    let end = await world.activation().perform()
    #expect(end.failure == nil)
    #expect(end.posted == .comment(id: nil))
    #expect(world.hub.state.read == ["n1"])
  }

  @Test("a report that can't be delivered does not undo the answer")
  func report() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    world.hub.fail("report", [HubError(operation: "POST /system/consumption", status: 400, reason: "no")])
    let end = await world.activation().perform()
    #expect(end.failure == nil)
    #expect(world.hub.state.activated.count == 1)
    #expect(world.logged.lines.contains { $0.message == "report not delivered" })
  }

  @Test("marks that can't be set are a failure: unread, it would be answered again by another activation")
  func marks() async throws {
    let world = try World(FakeLauncher(says: "Hi"))
    world.hub.fail(
      "markRead", [HubError(operation: "POST /notifications/read", status: 400, reason: "no")])
    let end = await world.activation().perform()
    #expect(
      end.failure?.description == "notifications can't be marked as read: Hub: POST /notifications/read: no")
  }

  @Test(
    "what can't be mended by trying again is dead, with a sentence",
    arguments: [
      (
        "ghost", "12", "a-1",
        "the definition of agent ghost can't be used: there is no agent 'ghost': /srv/agents has no agents/ghost/config.yaml"
      ),
      ("claude-coder-1", "99", "a-1", "post 99 can't be read: Hub: GET /posts/99: no such post"),
      ("claude-coder-1", "12", "../a", "activation_id '../a' is not an id; use a UUID"),
      (
        "bare", "12", "a-1",
        "agent 'bare' is of type 'custom' and has no 'executor.command'; name the program to run there"
      ),
    ])
  func dead(_ name: String, _ post: String, _ id: String, _ sentence: String) async throws {
    let launcher = FakeLauncher(says: "Hi")
    let world = try World(launcher, agents: [agent(), agent("bare") { $0.executor = nil }])
    let activation = world.activation(id, agent: name, post: post)
    let end = await activation.perform()
    activation.close(end)
    #expect(end.failure?.description == sentence)
    #expect(end.failure?.remedy == .dead)
    #expect(launcher.programs.isEmpty)
    #expect(world.hub.state.comments.isEmpty)
  }

  @Test("a failed run posts nothing, reports what it used, and is kept in the receipt")
  func failedRun() async throws {
    let world = try World(FakeLauncher { _ in .init(output: "half an ans", error: "boom\n", exit: .exited(code: 2)) })
    let activation = world.activation()
    let end = await activation.perform()
    activation.close(end)
    #expect(end.failure?.description == "the agent ended with exit code 2; its last words: boom")
    #expect(world.hub.state.comments.isEmpty)
    #expect(world.hub.state.read.isEmpty)
    #expect(world.hub.state.consumption.count == 1)
    #expect(try world.receipt("a-1")["failure"] == "the agent ended with exit code 2; its last words: boom")
    #expect(try world.receipt("a-1")["status"] == "failed")
  }

  @Test("a supervisor that is away is a failure to try again")
  func noSupervisor() async throws {
    let world = try World(FakeLauncher { _ in throw Unexpected("no supervisor at /run/x: ECONNREFUSED") })
    let end = await world.activation().perform()
    #expect(
      end.failure?.description == "the supervisor could not run the agent: no supervisor at /run/x: ECONNREFUSED")
    #expect(end.failure?.remedy == .retry(after: nil))
  }

  @Test("an exploration comments where the agent says, or nowhere")
  func exploration() async throws {
    let said = FakeLauncher(says: #"{"post_id": "12", "answer": "Nice"}"#)
    let world = try World(said)
    world.hub.change { $0.feed = [Post(id: "12", content: "News")] }
    let end = await world.activation(type: .exploration, post: nil, notifications: []).perform()
    #expect(end.failure == nil)
    #expect(world.hub.state.comments.map(\.postID) == ["12"])
    #expect(said.programs.first?.input.contains("> News") == true)
    let quiet = try World(FakeLauncher(says: "Just thinking aloud"))
    let nothing = await quiet.activation(type: .exploration, post: nil, notifications: []).perform()
    #expect(nothing.failure == nil)
    #expect(nothing.posted == .nothing(.noThread))
    #expect(quiet.hub.state.comments.isEmpty)
  }

  @Test("an exploration's second contribution is refused, and its answer isn't a second one")
  func oneContribution() async throws {
    let tries = FakeLauncher { program in
      let first = try await program.call("create_comment", ["post_id": "12", "content": "One"])
      let second = try await program.call("create_post", ["content": "Two"])
      let words = [first, second].map { $0["result"]?["isError"]?.bool == true ? "refused" : "made" }
      return .init(output: #"{"post_id": "12", "answer": "Three"}"#, error: words.joined(separator: " "))
    }
    let writer = agent(grants: [Grant(service: "hub", permission: "write")])
    let world = try World(tries, agents: [writer])
    world.hub.change { $0.feed = [Post(id: "12", content: "News")] }
    let end = await world.activation(type: .exploration, post: nil, notifications: []).perform()
    #expect(end.failure == nil && end.posted == .nothing(.commentedItself))
    #expect(String(decoding: end.errorOutput, as: UTF8.self) == "made refused")
    #expect(world.hub.state.comments.count == 1)
  }

  @Test("by hand: the answer is returned, and posted only if wanted")
  func once() async throws {
    let world = try World(FakeLauncher(says: "Hello"))
    let shown = await ActivateOnce(services: world.services).run(
      agentID: "claude-coder-1", activationID: "b-1", instruction: "Say hello.")
    #expect(shown.failure == nil)
    #expect(shown.answer == "Hello")
    #expect(shown.posted == .nothing(.notWanted))
    #expect(world.hub.state.calls.isEmpty)
    #expect(world.launcher.programs.first?.input.contains("Say hello.") == true)
    let posted = await ActivateOnce(services: world.services).run(
      agentID: "claude-coder-1", activationID: "b-2", postID: "12", posts: true)
    #expect(posted.posted == .comment(id: "made-1"))
    #expect(try world.receipt("b-2")["status"] == "success")
  }

  @Test("a receipt that can't be kept is said and counted, and harms nothing else")
  func receiptFolder() throws {
    #expect(
      throws: ReceiptError(
        "the receipt /nowhere/a.json can't be written: open /nowhere/.a.json.new: ENOENT (No such file or directory); "
          + "does /nowhere exist, and is it writable?")
    ) { try ReceiptFolder(path: "/nowhere").write([:], activationID: "a") }
  }
}
