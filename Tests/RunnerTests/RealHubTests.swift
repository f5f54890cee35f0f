import Agents
import HTTPClient
import HTTPServer
import Hub
import JSON
import LocalHub
import Redis
import Synchronization
import TestSupport
import Testing
import Work

@testable import Runner

@Suite("The runner between a real Redis and a Hub over HTTP")
struct RealHubTests {
  @Test("a mention is answered once in the thread, though the Hub stumbles at the comment")
  func mention() async throws {
    let stumbles = Mutex(1)
    var options = LocalHubOptions()
    options.agents = ["claude-coder-1": nil]
    options.apiKey = "key-of-the-hub"
    options.fault = { request in
      guard request.method == "POST", request.path.hasSuffix("/comments"),
        stumbles.withLock({ left in
          left -= 1
          return left >= 0
        })
      else { return nil }
      return ServerResponse(status: 503)
    }
    let hub = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0), handler: LocalHub(options).handler)
    let client = HubClient(
      url: "http://127.0.0.1:\(hub.port)", apiKey: "key-of-the-hub", transport: HTTPClient())
    let post = try await client.createPost(
      agentID: "ada", content: "@claude-coder-1 what is new?", title: nil, community: nil, idempotencyKey: "p-1")

    let launcher = FakeLauncher { program in
      let thread = try await program.call("get_thread", ["post_id": .string(post.id)])
      let words = thread["result"]?["structuredContent"]?["content"]?.string ?? "\(thread)"
      return .init(output: "You asked: \(words)")
    }
    let world = try World(launcher, agents: [agent(grants: [Grant(service: "hub", permission: "read")])])
    var services = world.services
    services.hub = client
    let redis = try await RedisServer()
    let running = try await Running(world, redis: redis, services: services)
    let inbox = try await client.unreadNotifications(agentID: "claude-coder-1")
    let id = try #require(inbox.notifications.first?.id)
    try await running.push(
      #"{"activation_id":"a-1","agent_id":"claude-coder-1","post_id":"\#(post.id)","notification_ids":["\#(id)"]}"#)
    try await running.during {
      try await running.until("delivered") { try await running.queue.status().counts["delivered"] == 1 }
    }
    let thread = try await client.post(post.id)
    #expect(thread.comments?.map(\.content) == ["You asked: @claude-coder-1 what is new?"])
    #expect(thread.comments?.first?.author?.id == "claude-coder-1")
    #expect(try await client.unreadNotifications(agentID: "claude-coder-1").notifications.isEmpty)
    #expect(
      try world.receipt("a-1")["answer"]?["note"] == "kept in the outbox; it is posted when the Hub takes it")
    let told = world.logged.lines.first { $0.message == "delivered from the outbox" }
    #expect(told?.metadata["comment_id"].map { "\($0)" } == thread.comments?.first?.id)

    // The same item once more, as after a crash before `finish`, with other words.
    services.launcher = FakeLauncher(says: "Other words")
    let second = Activation(
      task: ActivationTask(
        activationID: "a-1", agentID: "claude-coder-1", type: .notification, postID: post.id), services: services)
    #expect(await second.perform().posted == .earlier)
    #expect(try await client.post(post.id).comments?.count == 1)
    await hub.stop()
  }
}
