import Linux
import Synchronization

/// Waits on the calling thread for something asynchronous.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let (done, finished) = try makePipe()
  let box = Box<Value>()
  Task.detached {
    defer { finished.close() }
    do { box.set(.success(try await body())) } catch { box.set(.failure(error)) }
  }
  _ = try waitReadable([done], timeout: nil)
  guard let result = box.value else { throw CancellationError() }
  return try result.get()
}

private final class Box<Value: Sendable>: Sendable {
  private let storage = Mutex<Result<Value, any Error>?>(nil)
  func set(_ result: Result<Value, any Error>) { storage.withLock { $0 = result } }
  var value: Result<Value, any Error>? { storage.withLock { $0 } }
}
