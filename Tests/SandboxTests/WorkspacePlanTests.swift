import Linux
import Testing

@testable import Sandbox

@Suite("Workspaces in plans") struct WorkspacePlanTests {
  private func profile() throws -> Profile {
    try ProfileFile.parse(
      Array(TestProfile.text(adding: "workspace: { path: /workspace, size: 1G }").utf8), file: "default.yaml",
      name: "default"
    ).profile
  }
  private func plan(agent: String?, bytes: Int? = nil) throws -> Plan {
    var wanted = request(["true"], files: [.init(path: "prompt.md")], limits: .init(workspaceBytes: bytes))
    wanted.workspace = agent
    return Plan.make(profile: try profile(), request: wanted, ground: Plan.Ground(filter: []))
  }

  @Test func `An agent's is handed in, and attached once it is the sandbox's`() throws {
    let plan = try plan(agent: "agent")
    #expect(plan.handed == [.workspace(agent: "agent", size: 1 << 30), .file(index: 0)])
    let begin = try #require(plan.inside.firstIndex(of: .awaitMappedMounts))
    #expect(plan.inside[begin + 1] == .attach(descriptor: 0, at: "/workspace"))
    #expect(plan.inside.map(\.description).contains("await mapped mounts"))
    #expect(!plan.inside.contains { $0.description.contains("mount tmpfs on /workspace") })
  }

  @Test func `Without an agent it is in memory, of the same size`() throws {
    let plan = try plan(agent: nil, bytes: 5 << 20)
    #expect(plan.handed == [.file(index: 0)])
    #expect(!plan.inside.contains(.awaitMappedMounts))
    #expect(plan.inside.contains { $0.description.hasPrefix("mount tmpfs on /workspace (nosuid,nodev,size=5242880,") })
  }

  @Test func `A request may only tighten it`() throws {
    for (asked, given) in [(nil, 1 << 30), (1 << 20, 1 << 20), (1 << 40, 1 << 30)] as [(Int?, Int)] {
      #expect(try plan(agent: "agent", bytes: asked).handed.first == .workspace(agent: "agent", size: given))
    }
  }

  @Test func `It has a place in the root and is writable under Landlock`() throws {
    let root = RootPlan.make(profile: try profile()) { _ in nil }
    #expect(root.contains(.directory("/workspace", mode: 0o755)))
    let rules = LandlockPolicy.make(profile: try profile(), version: 5).rules
    let scratch = try #require(rules.first { $0.path == "/tmp" })
    #expect(rules.first { $0.path == "/workspace" }?.access == scratch.access)
  }

  @Test(
    arguments: [
      ("../x", nil, "'../x' can't name a workspace; an agent's id is 3 to 50 of a-z, 0-9 and '-'"),
      ("agent", 4096, "workspaceBytes 4096 must be at least 1048576"),
    ] as [(String, Int?, String)])
  func `A request that asks for nonsense is refused`(agent: String, bytes: Int?, sentence: String) {
    var wanted = request(["true"], limits: .init(workspaceBytes: bytes))
    wanted.workspace = agent
    #expect(wanted.objection(descriptors: 3) == sentence)
  }
}
