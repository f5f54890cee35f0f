import Glibc
import JSON
import Linux
import Testing

/// The suites whose tests watch the clock run one after the other.
@Suite(.serialized) enum Acceptance {}

/// `botburrow up`, begun by a test.
struct Up {
  let program: Program
  let directory: String
  let hub: HubAPI

  static func start(_ agents: [Agent], in folder: Folder, arguments: [String] = []) async throws -> Up {
    try folder.add(agents)
    let program = try await Program.start(
      "up",
      [
        Product.botburrow, "up", "--agents", folder.definitions, "--hub-listen", "127.0.0.1:0", "--poll-interval", "1s",
        "--profiles", Product.profiles, "--cgroup", "best-effort",
      ] + arguments, in: folder.path, environment: ["HUB_API_KEY": Machine.key])
    do {
      try await until("botburrow is up", within: .seconds(30)) { program.output.contains("metrics   /") }
      let directory = "/run/botburrow-up-\(program.pid)"
      let state = try JSONValue(parsing: Array(try readFile("\(directory)/up.json").utf8))
      return Up(program: program, directory: directory, hub: HubAPI(url: state["hub"]?.string ?? "", key: Machine.key))
    } catch { throw NotInTime(description: "\(error)\n\(program.errors)") }
  }

  /// The process of one part.
  func child(_ name: String) throws -> pid_t { try #require(childNow(name), "no process of \(name)") }

  func childNow(_ name: String) -> pid_t? {
    let words = [
      "redis": "/usr/bin/redis-server", "hub": " hub ", "supervisor": " supervisor ", "coordinator": " coordinator ",
      "runner-notification": "--pool notification", "runner-exploration": "--pool exploration",
      "runner-hybrid": "--pool hybrid",
    ]
    return Processes.children(of: program.pid).first {
      Processes.commandLine($0).contains(words[name] ?? name) && Processes.lives($0)
    }
  }

  func metrics(_ name: String) async throws -> [String: Double] {
    try await readMetrics("\(directory)/metrics/\(name).sock")
  }

  /// Everything of it that the host can see.
  struct Traces {
    var processes: [pid_t]
    var namespaces: Namespaces
    var supervisor: pid_t
  }

  func traces() throws -> Traces {
    let processes = Processes.descendants(of: program.pid)
    return Traces(
      processes: processes, namespaces: Namespaces(of: processes, holding: ["pid"]), supervisor: try child("supervisor")
    )
  }

  /// What is left of them.
  func left(_ traces: Traces) -> [String] {
    var left = traces.processes.filter(Processes.lives).map { "process \($0) \(Processes.commandLine($0))" }
    left += Processes.naming(directory).map { "process \($0) \(Processes.commandLine($0))" }
    left += Processes.inNamespaces(traces.namespaces).map { "process \($0) in a namespace" }
    let mounts = (try? readFile("/proc/self/mountinfo", limit: 1 << 22)) ?? ""
    left += traces.namespaces.all.filter { mounts.contains("[\($0)]") }.map { "namespace \($0) is mounted" }
    left += Self.groups("/sys/fs/cgroup", named: "botburrow-\(traces.supervisor)", depth: 4)
    return left
  }

  static func groups(_ path: String, named name: String, depth: Int) -> [String] {
    guard depth > 0 else { return [] }
    return ((try? directories(in: path)) ?? []).flatMap { entry in
      entry == name ? ["cgroup \(path)/\(entry)"] : groups("\(path)/\(entry)", named: name, depth: depth - 1)
    }
  }
}

/// Interfaces of this network namespace.
var interfaces: Set<String> {
  let text = (try? readFile("/proc/self/net/dev")) ?? ""
  return Set(text.split(separator: "\n").dropFirst(2).compactMap { $0.split(separator: ":").first }.map { $0.trimmed })
}
extension Substring {
  var trimmed: String { String(drop { $0 == " " }) }
}

extension Acceptance {
  @Suite(.serialized) struct UpTests {
    /// The whole main job, then the end in order: everything from one start, as an operator sees it.
    @Test func mentionsAreAnsweredAndNothingIsLeft() async throws {
      let folder = try Folder()
      defer { folder.remove() }
      let up = try await Up.start(
        [.echo("echo-one"), .searcher("searcher"), .slow("sleeper", seconds: 300)], in: folder)
      let hub = up.hub
      _ = try await hub.post("Rabbits live in burrows", by: "bea")

      let post = try await hub.post("@echo-one @searcher where do rabbits live?")
      let posted = ContinuousClock.now
      try await until("both answers", within: .seconds(10)) { try await hub.comments(post).count >= 2 }
      #expect(ContinuousClock.now - posted < .seconds(10))
      let answers = Dictionary(try await hub.comments(post).map { ($0.author, $0.text) }) { first, _ in first }
      #expect(answers["echo-one"]?.hasPrefix("You asked me ") == true)
      #expect(answers["searcher"] == "I found: Rabbits live in burrows")

      try await receipts(up)
      try await consumption(hub)
      try await metrics(up)
      try walls(up)
      let unread = try await hub.call("GET", "/notifications?unread=true")
      #expect(unread["notifications"]?.array == [])

      // A second life for a runner that is killed.
      let runner = try up.child("runner-notification")
      kill(runner, SIGKILL)
      try await until("another runner", within: .seconds(30)) {
        up.childNow("runner-notification").map { $0 != runner } ?? false
      }
      let again = try await hub.post("@echo-one again, please")
      try await until("an answer after the restart", within: .seconds(15)) { try await !hub.comments(again).isEmpty }

      // The end, with a sandbox in use.
      _ = try await hub.post("@sleeper good night")
      try await until("the sleeper's sandbox", within: .seconds(10)) { up.agentRuns(folder.mark) }
      let traces = try up.traces()
      #expect(traces.processes.count >= 8)
      #expect(traces.namespaces.all.count > 7)
      #expect(!Processes.inNamespaces(traces.namespaces).isEmpty)
      #expect(try await up.program.terminate(within: .seconds(20)) == .exited(0))
      #expect(up.left(traces) == [])
      #expect(access(up.directory, F_OK) != 0)
      #expect(interfaces.filter { $0.hasPrefix("bb") } == [])
    }

    private func receipts(_ up: Up) async throws {
      let folder = "\(up.directory)/receipts"
      try await until("two receipts", within: .seconds(30)) {
        try files(in: folder).filter { $0.hasSuffix(".json") }.count == 2
      }
      let receipts = try files(in: folder).filter { $0.hasSuffix(".json") }.map { name in
        try JSONValue(parsing: Array(try readFile("\(folder)/\(name)").utf8))
      }
      #expect(Set(receipts.compactMap { $0["agent_id"]?.string }) == ["echo-one", "searcher"])
      let host = namespaceIDs(pid: "self")
      for receipt in receipts {
        #expect(receipt["status"]?.string == "success")
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
          let inside = try #require(receipt["namespaces"]?[kind]?.integer)
          #expect(UInt64(inside) != host[kind], "\(kind)")
        }
        let sets = try #require(receipt["capabilities"]?.object)
        #expect(Set(sets.keys) == ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
        #expect(sets.values.allSatisfy { $0.string == "0000000000000000" })
        #expect(receipt["seccomp_mode"]?.integer == 2)
        #expect(receipt["no_new_privs"]?.bool == true)
        try limits(receipt)
      }
      #expect(Set(receipts.compactMap { $0["namespaces"]?["pid"]?.integer }).count == 2)
    }

    /// Each limit is either enforced by somebody or listed as not enforced, with a reason.
    private func limits(_ receipt: JSONValue) throws {
      let missing = try #require(receipt["not_enforced"]?.array).compactMap(\.string)
      for (limit, key) in [("memory", "memory_bytes"), ("cpus", "cpus"), ("pids", "pids")] {
        let entry = try #require(receipt["limits"]?[key])
        let isListed = missing.contains { $0.hasPrefix("\(limit): the cgroup controller '") }
        #expect((entry["enforced_by"]?.string == nil) == isListed, "\(limit): \(receipt)")
      }
      #expect(receipt["limits"]?["timeout_seconds"]?["enforced_by"]?.string == "supervisor")
    }

    private func consumption(_ hub: HubAPI) async throws {
      for agent in ["echo-one", "searcher"] {
        let records = try await eventually("consumption of \(agent)", within: .seconds(30)) {
          let records = try await hub.consumption(agent)
          return records.isEmpty ? nil : records
        }
        #expect(records.count == 1)
        #expect(records.first?["agent_id"]?.string == agent)
        #expect(records.first?["tool_type"]?.string == "custom")
      }
    }

    private func metrics(_ up: Up) async throws {
      var runners: [String: Double] = [:]
      for pool in ["notification", "hybrid", "exploration"] {
        runners.merge(try await up.metrics("runner-\(pool)")) { $0 + $1 }
      }
      for agent in ["echo-one", "searcher"] {
        let labels = "agent=\"\(agent)\",tool_type=\"custom\""
        #expect(runners["botburrow_activations_total{\(labels),status=\"success\"}"] == 1)
        #expect(runners["botburrow_activation_duration_seconds_count{\(labels)}"] == 1)
        #expect(runners["botburrow_tokens_total{\(labels),direction=\"input\"}"] == 0)
      }
      #expect(runners["botburrow_mcp_calls_total{agent=\"searcher\",server=\"hub\",status=\"ok\"}"] == 1)
      // It is looked at once a poll: what was in the list at the last one may be answered by now.
      try await until("the queue's depth is 0", within: .seconds(20)) {
        try await up.metrics("coordinator")["botburrow_runner_queue_depth{pool=\"notification\"}"] == 0
      }
      let coordinator = try await up.metrics("coordinator")
      #expect(coordinator["botburrow_leader"] == 1)
      #expect(coordinator["botburrow_polls_total{result=\"ok\"}"] ?? 0 > 0)
      let supervisor = try await up.metrics("supervisor")
      #expect(supervisor["botburrow_sandbox_ends_total{profile=\"default\",cause=\"exited\"}"] == 2)
    }

    /// Nobody but the supervisor is root or holds a capability.
    private func walls(_ up: Up) throws {
      let names = ["redis", "hub", "coordinator", "runner-notification", "runner-exploration", "runner-hybrid"]
      for name in names {
        let status = try ProcessStatus.read(pid: try up.child(name))
        #expect(status.userIDs.count == 4 && !status.userIDs.contains(0), "\(name)")
        #expect(status.capabilities.count == 5 && status.capabilities.values.allSatisfy { $0 == 0 }, "\(name)")
      }
      // The control: the same reading of the supervisor finds both.
      let supervisor = try ProcessStatus.read(pid: try up.child("supervisor"))
      #expect(supervisor.userIDs == [0, 0, 0, 0])
      #expect(supervisor.capabilities["CapEff"] != 0)
    }

    @Test func childrenEndWhenItIsKilled() async throws {
      let folder = try Folder()
      defer { folder.remove() }
      let up = try await Up.start([.slow("sleeper", seconds: 300)], in: folder)
      defer { removeDirectory(up.directory) }
      _ = try await up.hub.post("@sleeper good night")
      try await until("the sleeper's sandbox", within: .seconds(10)) { up.agentRuns(folder.mark) }
      let traces = try up.traces()
      try await up.program.kill9()
      do {
        try await until("the end of all children", within: .seconds(20)) { up.left(traces).isEmpty }
      } catch { Issue.record("left after 2 s: \(up.left(traces).joined(separator: "\n"))") }
    }
  }
}

extension Up {
  func agentRuns(_ mark: String) -> Bool {
    Processes.naming(mark).contains { Processes.commandLine($0).hasPrefix("/bin/sh -c") }
  }
}

/// What a killed process could not remove.
func removeDirectory(_ path: String) {
  guard path.hasPrefix("/run/botburrow-up-"),
    let process = try? spawn("/bin/rm", ["rm", "-rf", path], descriptors: [nil, nil, nil]),
    let handle = try? ProcessHandle(child: process)
  else { return }
  _ = try? handle.wait()
}
