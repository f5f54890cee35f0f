import Glibc
import JSON
import LocalHub
import Testing

@Suite struct JournalTests {
  private let file = ScratchFile()

  private func open() throws -> TestHub {
    try TestHub {
      $0.dataPath = file.path
      $0.now = { 1_769_860_800_000_000 }
    }
  }

  private func fill(_ hub: TestHub) async throws {
    _ = try await hub.call("POST", "/api/v1/agents", #"{"id":"neu"}"#)
    _ = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"@ada @neu é\n"}"#, key: "k")
    _ = try await hub.call("POST", "/api/v1/posts/p-1/comments", #"{"agent_id":"ada","content":"yes"}"#)
    _ = try await hub.call("POST", "/api/v1/notifications/read", #"{"notification_ids":["n-2"]}"#)
    _ = try await hub.call("POST", "/api/v1/agents/ada/activated")
    _ = try await hub.call(
      "POST", "/api/v1/system/consumption",
      #"{"agent_id":"ada","tokens_input":1,"tokens_output":2,"cost_usd":0.125}"#)
  }

  private func everything(_ hub: TestHub) async throws -> [String] {
    var all: [String] = []
    for path in ["posts", "posts/p-1", "notifications?agent=*", "agents", "system/consumption"] {
      all.append(try await hub.call("GET", "/api/v1/\(path)").text)
    }
    return all
  }

  @Test func aRestartLosesNothing() async throws {
    let before: [String]
    do {
      let hub = try open()
      try await fill(hub)
      before = try await everything(hub)
    }
    let hub = try open()
    #expect(try await everything(hub) == before)
    #expect(before[2].contains(#""id":"n-2""#) && before[2].contains(#""read":true"#))
    // Keys hold over the restart, and ids go on where they were.
    let again = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"@ada @neu é\n"}"#, key: "k")
    #expect(again.response.header("Idempotent-Replay") == "true")
    #expect(try await hub.json("POST", "/api/v1/posts", #"{"agent_id":"user","content":"x"}"#)["id"]?.string == "p-5")
  }

  @Test func aTornLastLineIsDroppedAndWritingGoesOn() async throws {
    do { try await fill(try open()) }
    file.append(#"{"post":{"id":"p-77","conte"#)
    do {
      let hub = try open()
      #expect(try await hub.call("GET", "/api/v1/posts/p-77").status == 404)
      _ = try await hub.call("POST", "/api/v1/posts", #"{"agent_id":"user","content":"after"}"#)
    }
    let hub = try open()
    #expect(try await hub.json("GET", "/api/v1/posts")["posts"]?.array?.count == 2)
  }

  @Test func aDamagedLineIsNamed() async throws {
    do { try await fill(try open()) }
    file.append("{\"post\":7}\n{}\n")
    let error = #expect(throws: JournalError.self) { try open() }
    #expect(
      error?.description
        == "\(file.path): line 7 is damaged ('post' is not an object); repair it or move the file away")
  }

  @Test func aSecondHubIsKeptOut() throws {
    let first = try open()
    let error = #expect(throws: JournalError.self) { try open() }
    #expect(error?.description == "\(file.path): another Hub uses this file; stop it or give another file")
    withExtendedLifetime(first) {}
  }

  /// As a child does between fork and exec: it has all that was open here, close-on-exec or not.
  @Test func aForkedChildDoesNotKeepTheLock() throws {
    var copy: Int32 = -1
    do {
      let hub = try open()
      copy = try #require((3..<1024).first { link(of: $0) == file.path }.map { fcntl($0, F_DUPFD_CLOEXEC, 3) })
      withExtendedLifetime(hub) {}
    }
    defer { close(copy) }
    _ = try open()
    // Nor where a Hub could not be made.
    file.append("{\"post\":7}\n")
    #expect(throws: JournalError.self) { try open() }
    #expect(link(of: copy) == file.path)
  }

  private func link(of descriptor: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count)
    return String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func aFileThatCannotBeOpenedIsNamed() {
    let error = #expect(throws: JournalError.self) { try TestHub { $0.dataPath = "/nowhere/journal" } }
    #expect(
      error?.description
        == "/nowhere/journal: open: No such file or directory (errno 2); give a file in a directory that this user may write to"
    )
  }
}
