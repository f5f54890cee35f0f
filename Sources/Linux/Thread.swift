import Glibc
import Synchronization

/// Threads of our own, for work that blocks. Their stacks are small, for there may be hundreds; where the kernel gives no
/// thread, the caller does the work itself.
public enum Thread {
  /// Starts it; nobody waits for its end.
  public static func detach(_ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 512 << 10)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Work(body)).toOpaque()
    let code = pthread_create(
      &thread, &attributes,
      { box in
        if let box { Unmanaged<Work>.fromOpaque(box).takeRetainedValue().body() }
        return nil
      }, box)
    pthread_attr_destroy(&attributes)
    if code != 0 { Unmanaged<Work>.fromOpaque(box).takeRetainedValue().body() }
  }

  /// Blocking work of a task, so that it can't use up Swift's few threads.
  public static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      detach { continuation.resume(with: Result(catching: body)) }
    }
  }

  /// Runs a body on a thread that ends with it, and waits: for what changes the thread that does it for good (its
  /// namespaces, its working directory).
  public static func await<Value: Sendable>(
    _ body: @escaping @Sendable () throws(LinuxError) -> Value
  ) throws(LinuxError) -> Value {
    let result = Shared<Result<Value, LinuxError>?>(nil)
    let work: @Sendable () -> Void = {
      do throws(LinuxError) {
        let value = try body()
        result.value.withLock { $0 = .success(value) }
      } catch { result.value.withLock { $0 = .failure(error) } }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Work(work)).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { box in
        if let box { Unmanaged<Work>.fromOpaque(box).takeRetainedValue().body() }
        return nil
      }, box)
    if code != 0 {
      Unmanaged<Work>.fromOpaque(box).release()
      throw LinuxError("pthread_create", "", code: code, advice: "this process may have no more threads")
    }
    pthread_join(thread, nil)
    guard let outcome = result.value.withLock({ $0 }) else { throw LinuxError("pthread_join", "", code: ESRCH) }
    return try outcome.get()
  }
}

/// What a new thread is given.
private final class Work: Sendable {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// A value that two threads hold.
private final class Shared<Value: Sendable>: Sendable {
  let value: Mutex<Value>
  init(_ value: Value) { self.value = Mutex(value) }
}
