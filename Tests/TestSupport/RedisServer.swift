import CLinux
import Glibc
import Redis
import Synchronization

/// A redis-server of a test's own, on a Unix socket in a directory of its own, with every write in an append-only file.
///
/// It ends with `stop()`, when the last reference goes, and also when the test process dies: a shell beside it waits for the end
/// of a socket that this process holds open.
public final class RedisServer: Sendable {
  private struct Running {
    var shell: pid_t
    var pipe: Int32
    var server: pid_t
  }
  private let directory: String
  private let arguments: [String]
  private let environment: [String: String]
  private let running = Mutex<Running?>(nil)

  /// Starts a server and waits until it answers.
  /// - Parameters:
  ///   - arguments: more of redis-server's own, as `["--requirepass", "x"]`.
  ///   - environment: more variables of the server, beside this process's.
  public init(_ arguments: [String] = [], environment: [String: String] = [:]) async throws {
    directory = try Self.makeDirectory()
    self.arguments = arguments
    self.environment = environment
    try await start()
  }

  /// Starts a sentinel.
  /// - Parameter lines: of its configuration, as `sentinel monitor …`.
  public init(sentinel lines: [String], port: Int) async throws {
    directory = try Self.makeDirectory()
    environment = [:]
    let file = directory + "/sentinel.conf"
    let own = ["port \(port)", "bind 127.0.0.1", "dir \(directory)", "unixsocket \(directory)/socket"]
    guard let stream = fopen(file, "w") else { throw TestServerError("fopen \(file): errno \(errno)") }
    fputs((own + lines).joined(separator: "\n") + "\n", stream)
    fclose(stream)
    arguments = [file, "--sentinel"]
    try await start()
  }

  /// A TCP port of this host that nobody listened at a moment ago.
  public static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw TestServerError("socket: errno \(errno)") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let failed = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) != 0 || getsockname(descriptor, $0, &size) != 0
      }
    }
    guard !failed else { throw TestServerError("no free port: errno \(errno)") }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  /// The program: redis-server, or what `BOTBURROW_TEST_SERVER` names, as a valkey-server.
  public static var program: String { getenv("BOTBURROW_TEST_SERVER").map { String(cString: $0) } ?? "redis-server" }
  deinit { end() }

  /// `unix://…`, without a login.
  public var url: RedisURL { RedisURL(address: .unix(path: directory + "/socket")) }

  /// The server's process id; 0 while it is stopped.
  public var pid: pid_t { running.withLock { $0?.server ?? 0 } }

  /// Starts it again, on the same socket and with the same data.
  public func start() async throws {
    try launch()
    try await waitUntilItAnswers()
    // The server may answer before the shell has written its id; 0 would mean our own process group to kill(2).
    while running.withLock({ $0?.server }) == 0 {
      let pid = readNumber(directory + "/pid")
      running.withLock { $0?.server = pid_t(pid) }
      await Task.yield()
    }
  }

  /// Ends it as a loss of power in the middle of a write would: as `kill9`, and of the last transaction in its append-only file the
  /// last command is torn.
  public func tear() throws {
    kill9()
    let folder = directory + "/appendonlydir"
    let name = folder + "/appendonly.aof.1.incr.aof"
    var status = stat()
    guard stat(name, &status) == 0 else { throw TestServerError("\(name): errno \(errno)") }
    // EXEC, and the end of what is before it.
    let torn = Int(status.st_size) - "*1\r\n$4\r\nEXEC\r\n".utf8.count - 5
    guard truncate(name, torn) == 0 else { throw TestServerError("truncate \(name): errno \(errno)") }
  }

  private func launch() throws {
    // Another test's child that inherited our end would keep the server alive: close-on-exec from the first moment.
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw TestServerError("socketpair: errno \(errno)") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    posix_spawn_file_actions_addopen(&actions, 1, directory + "/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Other tests' sockets, held open there too, would never seem closed to their peers.
    guard cl_spawn_close_from(&actions, 3) == 0 else {
      throw TestServerError("posix_spawn_file_actions_addclosefrom_np")
    }
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Threads of the Swift runtime may block signals, and a shell that inherits a blocked SIGCHLD waits for ever.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let script = """
      "$@" </dev/null &
      echo $! >"$0/pid"; read -r line; kill -9 $! 2>/dev/null; wait
      """
    // By env(1), so that what is meant for the server (LD_PRELOAD) doesn't reach the shell.
    let standard = [
      "--port", "0", "--unixsocket", directory + "/socket", "--dir", directory, "--appendonly", "yes", "--save", "",
      "--daemonize", "no",
    ]
    let words =
      ["/bin/sh", "-c", script, directory, "/usr/bin/env"] + environment.map { "\($0.key)=\($0.value)" }
      + [Self.program] + (arguments.last == "--sentinel" ? [] : standard) + arguments
    unlink(directory + "/pid")
    var shell = pid_t()
    let pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let failure = posix_spawn(&shell, "/bin/sh", &actions, &attributes, pointers, environ)
    for pointer in pointers { free(pointer) }
    close(ends[0])
    guard failure == 0 else {
      close(ends[1])
      throw TestServerError("posix_spawn /bin/sh: errno \(failure)")
    }
    running.withLock { $0 = Running(shell: shell, pipe: ends[1], server: 0) }
  }

  private func waitUntilItAnswers() async throws {
    let connection = RedisConnection(url, backoff: Backoff(first: .milliseconds(5), last: .milliseconds(20)))
    defer { connection.close() }
    let limit = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < limit {
      do throws(RedisError) {
        _ = try await connection.command(["PING"])
        return
      } catch {
        // It answers, which is all that is asked: it wants a password, is a sentinel, a replica.
        if error.kind == .unusable || error.reason.hasPrefix("it is a replica") { return }
        guard error.isTransient else { throw error }
      }
    }
    throw TestServerError("redis-server did not answer within a minute; see \(directory)/log")
  }

  /// kill -9: nothing is flushed, nothing is said.
  public func kill9() {
    var taken: Running?
    running.withLock { swap(&$0, &taken) }
    guard let ended = taken else { return }
    if ended.server > 0 { kill(ended.server, SIGKILL) }
    close(ended.pipe)
    var status: Int32 = 0
    while waitpid(ended.shell, &status, 0) < 0, errno == EINTR {}
    if environment["LD_PRELOAD"] != nil { FakeClock.forget(ended.server) }
  }

  private func end() {
    kill9()
    _ = spawnAndWait(["/bin/rm", "-rf", directory])
  }

  private static func makeDirectory() throws -> String {
    var template = Array("/tmp/botburrow-redis-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestServerError("mkdtemp: errno \(errno)") }
    return String(cString: made)
  }

  private func readNumber(_ path: String) -> Int {
    guard let file = fopen(path, "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 32)
    guard fgets(&line, 32, file) != nil else { return 0 }
    return atol(line)
  }

  private func spawnAndWait(_ words: [String]) -> Int32 {
    let pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid = pid_t()
    guard posix_spawn(&pid, words[0], nil, nil, pointers, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return status
  }
}

/// A test's server that did not start.
public struct TestServerError: Error, CustomStringConvertible {
  /// What went wrong.
  public let description: String
  /// Makes an error that reads as `description`.
  public init(_ description: String) { self.description = description }
}
