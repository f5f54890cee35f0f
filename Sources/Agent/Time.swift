import AgentLoop
import Glibc

/// Seconds of the monotonic clock; swift's own clocks would bring a runtime with threads.
func now() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Milliseconds until a moment, for poll(2); 0 where it is over.
func milliseconds(until moment: Double) -> Int32 {
  Int32(clamping: Int(max(0, min(moment - now(), 1e6) * 1000).rounded(.up)))
}

/// Waits.
func pause(_ seconds: Double) {
  let end = now() + seconds
  // A signal that cuts it short is followed by the rest.
  while now() < end { poll(nil, 0, milliseconds(until: end)) }
}

/// The last error of this thread in words.
func lastError() -> String { String(cString: strerror(errno)) }

/// One line for whoever looks at the activation's standard error.
func note(_ text: String) {
  let line = Array("\(LoopNote.prefix)\(text)\n".utf8)
  // Where that fails there is nobody to tell.
  _ = write(STDERR_FILENO, line, line.count)
}
