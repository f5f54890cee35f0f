import Synchronization

/// What a task says to the thread that waits for it.
final class Outcome: Sendable {
  private let message = Mutex<String?>(nil)
  func set(_ text: String) { message.withLock { $0 = text } }
  var text: String? { message.withLock { $0 } }
}
