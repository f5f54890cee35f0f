import Glibc

/// One connection to a Redis or Valkey server, made at the first command and made again after it broke.
///
/// hiredis is synchronous, so each connection owns one thread; commands of many tasks wait in line for it. A command
/// that blocks on the server (`BLMOVE`, `BRPOP`) holds up all others: give it a connection of its own.
public final class RedisConnection: Sendable {
  /// Where this connection goes.
  public let url: RedisURL
  private let thread: ConnectionThread

  /// Starts the thread; connects at the first command.
  /// - Parameters:
  ///   - commandTimeout: how long each step may take: the command; and where the connection isn't there, before it, after the
  ///     back-off, connecting, logging in and choosing the database. Sentinels have at most a second for each of their three steps,
  ///     each sentinel and each primary that they name.
  ///   - jitter: chance for the back-off, from 0 to 1.
  public init(
    _ url: RedisURL, commandTimeout: Duration = .seconds(5), backoff: Backoff = Backoff(),
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.url = url
    self.thread = ConnectionThread(url: url, commandTimeout: commandTimeout, backoff: backoff, jitter: jitter)
    thread.start()
  }
  deinit { thread.close() }

  /// Ends the thread and fails whatever still waits; later commands fail with `.closed`.
  public func close() { thread.close() }

  /// Sends one command and gives its reply. Not cancelled with its task: a command is short and bounded by the timeout,
  /// and half a `finish` helps nobody.
  public func command(_ arguments: [RedisArgument]) async throws(RedisError) -> RedisValue {
    try await run(arguments, timeout: nil, cancellable: false)
  }

  /// Sends a command that blocks on the server for at most `wait`. Cancelling the task ends it at once: its socket is
  /// shut down and made again for the next command.
  public func blockingCommand(_ arguments: [RedisArgument], wait: Duration) async throws(RedisError) -> RedisValue {
    try await run(arguments, timeout: wait, cancellable: true)
  }

  /// Runs a script by its hash, and by its text where the server does not know it yet (after a restart).
  /// - Parameter whenUnknown: runs between the two; where it throws, the script stays unknown.
  public func script(
    _ script: RedisScript, keys: [RedisArgument] = [], arguments: [RedisArgument] = [],
    whenUnknown: () async throws(RedisError) -> Void = { () throws(RedisError) in }
  ) async throws(RedisError) -> RedisValue {
    let rest = [RedisArgument(keys.count)] + keys + arguments
    do {
      return try await command(["EVALSHA", RedisArgument(script.hash)] + rest)
    } catch  where error.kind == .refused(code: "NOSCRIPT") {
      try await whenUnknown()
      return try await command(["EVAL", RedisArgument(script.source)] + rest)
    }
  }

  private func run(
    _ arguments: [RedisArgument], timeout: Duration?, cancellable: Bool
  ) async throws(RedisError) -> RedisValue {
    let id = thread.nextID()
    let result: Result<RedisValue, RedisError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        thread.submit(
          ConnectionThread.Job(id: id, arguments: arguments, wait: timeout, cancellable: cancellable), continuation)
        // The handler may have run before the job was there to find.
        if cancellable, Task.isCancelled { thread.cancel(id) }
      }
    } onCancel: {
      if cancellable { thread.cancel(id) }
    }
    return try result.get()
  }
}

/// A Lua script and the hash by which the server keeps it.
public struct RedisScript: Sendable, Hashable {
  /// The Lua text.
  public let source: [UInt8]
  /// SHA-1 of `source` in lower-case hexadecimal digits.
  public let hash: String
  /// Makes a script of its text.
  public init(_ source: [UInt8]) {
    self.source = source
    self.hash = SHA1.hexDigest(of: source)
  }
}
