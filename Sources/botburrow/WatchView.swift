import Glibc
import JSON
import Runner
import Synchronization

/// Writes events as they come: lines for a person on standard error, or JSON lines on standard output.
final class Watcher: Sendable {
  private let log = Mutex(WatchLog())
  private let lines = Mutex(LineCutter())
  private let start = ContinuousClock.now
  private let asJSON: Bool

  init(asJSON: Bool) { self.asJSON = asJSON }

  func see(_ event: WatchEvent) {
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    // Writing within the lock keeps lines in the order of their counts.
    log.withLock { log in
      let line = log.take(event)
      if asJSON {
        writeOutput(log.json(event, seconds: seconds).compactText + "\n")
      } else if let line {
        writeError("\(Self.time(seconds))  \(Self.painted(line.kind, line.isBad))  \(line.text)\n")
      }
    }
  }

  /// Standard error of the program.
  func see(bytes: [UInt8]) { for line in lines.withLock({ $0.take(bytes) }) { see(.said(line)) } }

  /// `see` for whoever takes a closure.
  var seeEvent: @Sendable (WatchEvent) -> Void { { self.see($0) } }
  var seeBytes: @Sendable ([UInt8]) -> Void { { self.see(bytes: $0) } }

  /// The last line, for a person. Where nothing began there is nothing to sum up.
  func end(_ status: String) {
    if asJSON { return }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    log.withLock { log in
      if !log.isEmpty { writeError("\(Self.time(seconds))  end      \(status): \(log.sums)\n") }
    }
  }

  private static func time(_ seconds: Double) -> String {
    let hundredths = Int((seconds * 100).rounded())
    let text = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    return String(repeating: " ", count: max(0, 7 - text.count)) + text
  }

  private static func painted(_ kind: WatchLog.Kind, _ isBad: Bool) -> String {
    let word = kind.rawValue.padded(to: 7)
    if isBad { return Style.paint(word, 31, on: STDERR_FILENO) }
    switch kind {
    case .model: return Style.paint(word, 36, on: STDERR_FILENO)
    case .tool: return Style.paint(word, 32, on: STDERR_FILENO)
    case .said: return Style.paint(word, 2, on: STDERR_FILENO)
    case .agent, .sandbox: return word
    }
  }
}
