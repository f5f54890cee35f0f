import Glibc
import HTTPClient
import HTTPServer
import JSON
import Linux
import Synchronization
import TestSupport
import Testing

private let hasTools = ["time", "git", "fetch", "sqlite"].allSatisfy {
  access("\(ToolGround.tools)/mcp-server-\($0)", X_OK) == 0
}

extension Acceptance {
  /// Real tool servers as sidecars in real sandboxes.
  @Suite(
    .serialized, .enabled(if: geteuid() == 0, "needs root"),
    .enabled(if: hasTools, "the MCP servers aren't in /opt/botburrow/tools; run: make tools"))
  struct ToolServerTests {
    @Test func `Time, Git and SQLite answer in both eras, as far as the grants reach`() async throws {
      let repository = try Folder(in: "/var/tmp")
      defer { repository.remove() }
      let made = try await Program.start(
        "git",
        [
          "/bin/sh", "-c",
          "cd \(repository.path) && git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m 'First words'",
        ], in: repository.path)
      #expect(try await made.ended(within: .seconds(20)) == .exited(0))
      try await ToolGround.with(
        servers: """
          servers:
            time: {command: mcp-server-time, grants: [time:read]}
            git:
              command: mcp-server-git
              profile: sidecar-git
              env: {GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: safe.directory, GIT_CONFIG_VALUE_0: "*"}
              grants: [git:write]
              tools: {git_log: git:read, git_status: git:read}
            sqlite:
              command: mcp-server-sqlite
              args: [--db-path, /tmp/data.db]
              grants: [sqlite:write]
          """,
        profiles: ["sidecar-git": "description: Git\nextends: sidecar\nread_only: [\(repository.path)]\n"]
      ) { ground in
        try ground.add(
          agent: "caller", grants: ["time:read", "git:read", "sqlite:*"], servers: ["time", "git", "sqlite", "absent"],
          script: """
            told = {"servers": sorted(name for name in os.environ if name.startswith("MCP_"))}
            told["discover"] = modern("time", "server/discover")["result"]["supportedVersions"][0]
            told["initialize"] = ask("time", "initialize", {"protocolVersion": "2025-06-18"})["result"]["protocolVersion"]
            told["time"] = call("time", "get_current_time", {"timezone": "UTC"})
            told["modern"] = modern("time", "tools/call", {"name": "get_current_time", "arguments": {"timezone": "UTC"}})["result"]
            told["modernList"] = modern("time", "tools/list")["result"]["tools"][0]["name"]
            told["git"] = names("git")
            told["log"] = call("git", "git_log", {"repo_path": "\(repository.path)"})
            told["denied"] = ask("git", "tools/call", {"name": "git_commit", "arguments": {"repo_path": "\(repository.path)", "message": "x"}})
            told["unknown"] = ask("git", "tools/call", {"name": "git_cxmmit", "arguments": {"repo_path": "\(repository.path)", "message": "x"}})
            call("sqlite", "create_table", {"query": "CREATE TABLE t (a TEXT)"})
            call("sqlite", "write_query", {"query": "INSERT INTO t VALUES ('burrow')"})
            told["sqlite"] = call("sqlite", "read_query", {"query": "SELECT a FROM t"})
            told["wrong"] = call("time", "get_current_time", {"timezone": "Nowhere/Here"})
            print(json.dumps(told))
            """)
        let outcome = try await ground.activate("caller")
        let said = outcome.said
        #expect(said["servers"] == ["MCP_GIT_URL", "MCP_SQLITE_URL", "MCP_TIME_URL"])
        #expect(said["discover"] == "2026-07-28")
        #expect(said["initialize"] == "2025-06-18")
        #expect(said["time"]?.string?.contains("UTC") == true)
        #expect(said["modern"]?["resultType"] == "complete")
        #expect(said["modern"]?["isError"]?.bool != true)
        #expect(said["modernList"] == "convert_time")
        #expect(said["git"] == ["git_log", "git_status"])
        #expect(said["log"]?.string?.contains("First words") == true, "\(said["log"]?.string ?? "")")
        #expect(
          said["denied"]?.compactText.replacing("git_commit", with: "git_cxmmit") == said["unknown"]?.compactText)
        #expect(said["sqlite"]?.string?.contains("burrow") == true)
        #expect(said["wrong"]?.string?.isEmpty == false)
        // One record a call; one sandbox a server, which ended with its input.
        let calls = outcome.program.logged("tool call")
        #expect(calls.count == 9)
        #expect(Set(calls.compactMap { $0["server"]?.string }) == ["time", "git", "sqlite"])
        #expect(calls.allSatisfy { $0["arguments_sha256"]?.string?.utf8.count == 64 })
        let ends = outcome.program.logged("tool server ended").compactMap { $0["end"]?.string }
        #expect(ends == ["exited 0", "exited 0", "exited 0"])
        #expect(outcome.program.logged("tool server is not there for this agent").first?["server"] == "absent")
      }
    }

    @Test(.enabled(if: HostAddresses.first != nil, "this host has no address but loopback's"))
    func `Through fetch an allowed host is reached, and nothing of this machine`() async throws {
      let reached = Mutex<[String]>([])
      let handler: HTTPServer.Handler = { request in
        reached.withLock { $0.append(request.header("host") ?? "") }
        return ServerResponse.text(200, "words of the burrow")
      }
      // The allowed one has an address of its own among loopback's; the others are where nobody may come.
      let allowed = try await HTTPServer.start(at: .tcp(host: "127.0.0.77", port: 0), handler: handler)
      let port = allowed.port
      let host = try #require(HostAddresses.first)
      var forbidden: [HTTPServer] = []
      for address in ["127.0.0.1", host] {
        forbidden.append(try await HTTPServer.start(at: .tcp(host: address, port: port), handler: handler))
      }
      let spare = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0), handler: handler)
      let redisPort = spare.port
      await spare.stop(grace: .zero)
      let redis = try await RedisServer(["--port", "\(redisPort)", "--bind", "127.0.0.1"])
      let names = try NameServer(address: "127.0.0.53")
      names.set("allowed.test", ["127.0.0.77"])
      names.set("inside.test", ["127.0.0.1"])
      names.set("flip.test", ["127.0.0.77", "127.0.0.1"])
      names.set("metadata.test", ["169.254.169.254"])
      // The control: from here all of them are there.
      for address in ["127.0.0.77", "127.0.0.1", host] {
        let answer = try await HubAPI.client.send(HTTPRequest(url: "http://\(address):\(port)/"))
        #expect(String(decoding: answer.body, as: UTF8.self) == "words of the burrow", "\(address)")
      }
      reached.withLock { $0 = [] }
      try await ToolGround.with(
        servers: """
          servers:
            fetch:
              command: mcp-server-fetch
              args: [--allow-private-ips, --ignore-robots-txt]
              hosts: ["*:*"]
              private_addresses: [127.0.0.77]
              grants: [fetch:read]
          """
      ) { ground in
        try ground.folder.write("resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
        let ping = try await Program.start(
          "redis-cli", ["/usr/bin/redis-cli", "-p", "\(redisPort)", "ping"], in: ground.folder.path)
        #expect(try await ping.ended(within: .seconds(10)) == .exited(0))
        #expect(ping.output == "PONG\n")
        try ground.add(
          agent: "reader", grants: ["fetch:read"], servers: ["fetch"],
          script: """
            def fetch(host, port=\(port)):
                return call("fetch", "fetch", {"url": "http://%s:%d/" % (host, port), "raw": True})
            told = {"allowed": fetch("allowed.test"), "literal": fetch("127.0.0.77")}
            told["first"] = fetch("flip.test")
            told["second"] = fetch("flip.test")
            for name, host in {"inside": "inside.test", "loopback": "127.0.0.1", "localhost": "localhost", "v6": "[::1]",
                               "mapped": "[::ffff:127.0.0.1]", "host": "\(host)", "metadata": "metadata.test",
                               "metadataLiteral": "169.254.169.254", "gateway": "198.18.0.1", "short": "127.1"}.items():
                told[name] = fetch(host)
            told["redis"] = fetch("127.0.0.1", \(redisPort))
            print(json.dumps(told))
            """)
        let outcome = try await ground.activate(
          "reader",
          wrapper: [
            "/usr/bin/unshare", "-m", "/bin/sh", "-c",
            "mount --bind \(ground.folder.path)/resolv.conf /etc/resolv.conf && exec \"$@\"", "sh",
          ])
        for name in ["allowed", "literal", "first"] {
          #expect(
            outcome.said[name]?.string?.contains("words of the burrow") == true,
            "\(name): \(outcome.said[name] ?? .null)")
        }
        for name in (outcome.said.object ?? [:]).keys where !["allowed", "literal", "first"].contains(name) {
          #expect(outcome.said[name]?.string?.contains("words of the burrow") != true, "\(name)")
        }
        #expect(reached.withLock { $0.count } == 3)
        let results = outcome.program.logged("proxy connection")
        #expect(results.count { $0["result"] == "connected" } == 3)
        // Each was refused for its address, and not because of anything else. (This server's HTTP library leaves out the
        // brackets of an IPv6 address, which is no request that a proxy can read; ForwardProxyTests has those.)
        for target in [
          "inside.test:\(port)", "127.0.0.1:\(port)", "localhost:\(port)", "\(host):\(port)",
          "flip.test:\(port)", "metadata.test:\(port)", "169.254.169.254:\(port)", "198.18.0.1:\(port)",
          "127.0.0.1:\(redisPort)",
        ] {
          let ends = results.filter { $0["host"]?.string == target }.compactMap { $0["result"]?.string }
          #expect(ends.contains("address") || ends.contains("own_address"), "\(target): \(ends)")
        }
        // It looked the name up once for each connection.
        #expect(names.asked("flip.test") == 2)
      }
      await allowed.stop(grace: .zero)
      for server in forbidden { await server.stop(grace: .zero) }
      withExtendedLifetime(redis) {}
    }

    @Test func `A server that hears nothing is ended all the same, and with it its sandbox`() async throws {
      try await ToolGround.with(
        servers: """
          servers:
            stubborn:
              command: /usr/bin/python3
              args: ["-c", "exec(__import__('os').environ['PROGRAM'])"]
              env: {PROGRAM: \(try JSON.text(ProbeServer.program + "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)\n"))}
              grants: [a:b]
          """
      ) { ground in
        try ground.add(
          agent: "caller", grants: ["a:b"], servers: ["stubborn"], script: "print(json.dumps(names('stubborn')))\n")
        let outcome = try await ground.activate("caller")
        #expect(outcome.said.array?.count == 4)
        #expect(outcome.json["tool_servers"]?.array?.first?["end"] == "signal 9")
        #expect(
          Processes.descendants(of: ground.supervisor.pid).allSatisfy {
            Processes.commandLine($0).contains("python3") == false
          })
      }
    }

    @Test func `A server that can't start or dies is told in words, and the agent goes on`() async throws {
      try await ToolGround.with(
        servers: """
          servers:
            gone: {command: /nonexistent/server, grants: [a:b]}
            silent: {command: /bin/sleep, args: ["60"], grants: [a:b], start_timeout: 1s}
            dying: {command: /bin/sh, args: [-c, "exit 3"], grants: [a:b]}
            keyless: {command: /bin/cat, env: {A: "${NOT_THERE}"}, grants: [a:b]}
            remote: {url: "http://127.0.0.1:9/mcp", grants: [a:b]}
          """
      ) { ground in
        try ground.add(
          agent: "caller", grants: ["a:b"], servers: ["gone", "silent", "dying", "keyless", "remote"],
          script: """
            told = {}
            for server in ["gone", "silent", "dying", "keyless", "remote"]:
                told[server] = ask(server, "tools/list")["error"]["message"]
            print(json.dumps(told))
            """)
        let outcome = try await ground.activate("caller")
        #expect(outcome.said["remote"] == "server 'remote' can't be reached now")
        for server in ["gone", "silent", "dying", "keyless"] {
          #expect(
            outcome.said[server]?.string
              == "server '\(server)' could not be started; its tools are away for this activation")
        }
        let reasons = outcome.program.logged("tool server is not there").reduce(into: [String: String]()) {
          all, record in
          all[record["server"]?.string ?? ""] = record["error"]?.string
        }
        #expect(reasons["gone"]?.contains("setup failed at run /nonexistent/server: ENOENT") == true, "\(reasons)")
        #expect(reasons["dying"]?.contains("'/bin/sh' ended before it answered: exited 3") == true, "\(reasons)")
        #expect(reasons["silent"]?.contains("did not answer within 1 s") == true, "\(reasons)")
        // One with a URL is found out when it is called.
        let silence = outcome.program.logged("tool server gave no answer").filter { $0["server"] == "remote" }
        #expect(silence.first?["error"]?.string?.contains("it can't be reached: ") == true)
        #expect(reasons["keyless"]?.contains("'A' refers to NOT_THERE") == true, "\(reasons)")
        #expect(outcome.json["status"] == "success")
      }
    }
  }
}

/// Addresses of this machine that aren't loopback's.
private enum HostAddresses {
  static var first: String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    var entry = list
    while let found = entry?.pointee {
      if let address = found.ifa_addr, Int32(address.pointee.sa_family) == AF_INET {
        let text = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
          inet_ntoa(pointer.pointee.sin_addr).map { String(cString: $0) }
        }
        if let text, !text.hasPrefix("127.") { return text }
      }
      entry = found.ifa_next
    }
    return nil
  }
}
