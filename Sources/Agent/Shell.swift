import AgentLoop
import CLinux
import Glibc

/// The tool Bash: one command in a session of its own, its output bounded, its time limited.
struct Shell {
  let rules: LoopBrief.Shell
  /// The whole activation's, on `now()`'s clock.
  let deadline: Double
  /// Bytes that are kept of the beginning, and of the end.
  private static let half = 15_000

  func run(_ arguments: ToolArguments) throws(ToolTrouble) -> (text: String, isError: Bool) {
    let command = arguments.text("command")
    if let refusal = ShellRules.refusal(of: command, rules) { throw ToolTrouble(refusal) }
    let asked = arguments.integers["timeout_seconds"].map { Double(max(1, $0)) } ?? rules.timeoutSeconds
    let start = now()
    let limit = min(asked, rules.timeoutSeconds, max(1, deadline - start))
    let (process, output) = try spawn(command)
    defer { close(output) }
    let watch = cl_pidfd_open(process)
    guard watch >= 0 else {
      kill(-process, SIGKILL)
      throw ToolTrouble("the command can't be watched: \(lastError())")
    }
    defer { close(watch) }
    var kept = KeptOutput(half: Self.half)
    let ended = read(output, until: start + limit, of: watch, into: &kept)
    if !ended { kill(-process, SIGKILL) }
    var (code, status) = (Int32(0), Int32(0))
    _ = cl_wait_pidfd(watch, 0, &code, &status)
    if !ended { drain(output, into: &kept) }
    return report(kept, ended: ended, limit: limit, code: code, status: status)
  }

  private func report(
    _ kept: KeptOutput, ended: Bool, limit: Double, code: Int32, status: Int32
  ) -> (text: String, isError: Bool) {
    var lines = kept.text.isEmpty ? [] : [kept.text]
    if !ended {
      lines.append("[ended: it ran longer than \(Int(limit)) s]")
    } else if code != CLD_EXITED {
      lines.append("[ended by signal \(status)]")
    } else if status != 0 {
      lines.append("[exit code \(status)]")
    }
    return (lines.isEmpty ? "(no output)" : lines.joined(separator: "\n"), !ended || code != CLD_EXITED || status != 0)
  }

  private func spawn(_ command: String) throws(ToolTrouble) -> (pid_t, output: Int32) {
    var pipe: [Int32] = [0, 0]
    guard cl_pipe2(&pipe, O_CLOEXEC) == 0 else { throw ToolTrouble("no pipe for the command: \(lastError())") }
    defer { close(pipe[1]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 2)
    _ = cl_spawn_close_from(&actions, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID: what it starts can be ended with it.
    posix_spawnattr_setflags(&attributes, 0x80)
    let shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"
    var process = pid_t()
    let code = withStrings([shell, "-c", command]) { arguments in
      withStrings(environment) { posix_spawn(&process, shell, &actions, &attributes, arguments, $0) }
    }
    guard code == 0 else {
      close(pipe[0])
      throw ToolTrouble("\(shell) can't be started: \(String(cString: strerror(code)))")
    }
    return (process, pipe[0])
  }

  /// Ours without the gateways' token: it is no secret from the agent, but of no use to its commands either.
  private var environment: [String] {
    var variables: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let variable = String(cString: text)
      if !variable.hasPrefix("\(LoopBrief.tokenVariable)=") { variables.append(variable) }
      entry += 1
    }
    return variables
  }

  /// Until the shell ends: what it left running may hold the pipe for ever. False: the time was over first.
  private func read(_ output: Int32, until end: Double, of watch: Int32, into kept: inout KeptOutput) -> Bool {
    var isOpen = true
    while true {
      var entries = [
        pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
        pollfd(fd: isOpen ? output : -1, events: Int16(POLLIN), revents: 0),
      ]
      if poll(&entries, 2, milliseconds(until: end)) <= 0, now() >= end { return false }
      if entries[1].revents != 0 { isOpen = take(output, into: &kept) }
      if entries[0].revents != 0 {
        if isOpen { drain(output, into: &kept) }
        return true
      }
    }
  }

  /// What is in the pipe now. Bounded: somebody who stayed may write faster than we read.
  private func drain(_ output: Int32, into kept: inout KeptOutput) {
    for _ in 0..<64 {
      var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 0) > 0, take(output, into: &kept) else { return }
    }
  }

  private func take(_ output: Int32, into kept: inout KeptOutput) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = Glibc.read(output, &buffer, buffer.count)
    if count <= 0 { return count < 0 && errno == EINTR }
    kept.append(buffer[..<count])
    return true
  }
}

/// The beginning and the end of an output of any length.
private struct KeptOutput {
  private let half: Int
  private var start: [UInt8] = []
  private var end: [UInt8] = []
  private var count = 0

  init(half: Int) { self.half = half }

  mutating func append(_ bytes: ArraySlice<UInt8>) {
    count += bytes.count
    let first = bytes.prefix(half - start.count)
    start += first
    end += bytes.dropFirst(first.count)
    if end.count > 4 * half { end.removeFirst(end.count - half) }
  }

  var text: String {
    let tail = end.suffix(half)
    let missing = count - start.count - tail.count
    let text = { (bytes: [UInt8]) in String(decoding: bytes, as: UTF8.self) }
    return missing == 0 ? text(start + tail) : text(start) + "\n[… \(missing) bytes left out …]\n" + text(Array(tail))
  }
}

/// A C array of strings that ends with null.
private func withStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeBufferPointer { buffer in
    // Never empty: the null is in it.
    buffer.baseAddress.map(body) ?? withStrings([], body)
  }
}
