import Glibc
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

/// Removes a directory of ours with all that is in it.
func removeTree(_ path: String) {
  for name in (try? directories(in: path)) ?? [] { removeTree("\(path)/\(name)") }
  guard let stream = opendir(path) else { return }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  closedir(stream)
  for name in names { unlink("\(path)/\(name)") }
  rmdir(path)
}
