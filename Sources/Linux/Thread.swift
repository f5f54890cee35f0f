import Glibc

/// Threads of our own, for work that blocks. Their stacks are small, for there may be hundreds; where the kernel gives no
/// thread, the caller does the work itself.
public enum Thread {
  /// Starts it; nobody waits for its end.
  public static func detach(_ body: @escaping @Sendable () -> Void) {
    final class Box {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 512 << 10)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    let code = pthread_create(
      &thread, &attributes,
      { box in
        if let box { Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body() }
        return nil
      }, box)
    pthread_attr_destroy(&attributes)
    if code != 0 { Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body() }
  }
}
