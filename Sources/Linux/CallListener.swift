import CLinux
import Glibc

/// Where the system calls of other processes wait for a word of ours (seccomp_unotify(2)). It watches; it is no wall: a
/// program can change what its pointers point to after we looked.
public struct CallListener: Sendable {
  /// Readable when a call waits, and when nobody is left who could make one.
  public let descriptor: Descriptor

  /// One call that waits.
  public struct Call: Sendable, Hashable {
    /// Names it in the answer.
    public var id: UInt64
    /// The thread that makes it, in our pid namespace.
    public var thread: pid_t
    /// Its number on its architecture.
    public var number: Int32
    /// Its six arguments, used or not.
    public var arguments: [UInt64]
    /// Whether it is a call of the architecture that this program is built for.
    public var isNative: Bool
  }

  /// Uses a listener that came over a socket.
  public init(_ descriptor: Descriptor) {
    self.descriptor = descriptor
    // Faster where the kernel has it (6.6), the same elsewhere.
    _ = withExtendedLifetime(descriptor) { cl_notify_wake_in_turn(descriptor.number) }
  }

  /// From here on every call of this thread, and of what it starts, waits for the listener that is sent over `socket`. Needs
  /// `no_new_privs`.
  public static func install(sendingTo socket: Descriptor) throws(LinuxError) {
    let number = cl_notify_listener()
    if number < 0 {
      throw LinuxError.last(
        "seccomp", "SECCOMP_FILTER_FLAG_NEW_LISTENER",
        advice: "needs Linux 5.5, and a process that nobody else listens to (EBUSY)")
    }
    // Nothing else before it: the first other call waits for whoever gets the listener.
    let sent = withExtendedLifetime(socket) { cl_send_listener(socket.number, number) }
    try check(sent, "sendmsg", "listener")
  }

  /// The next call; nil where its thread was gone before we looked. Blocks where none waits.
  public func receive() throws(LinuxError) -> Call? {
    defer { withExtendedLifetime(descriptor) {} }
    var call = cl_call()
    if cl_notify_receive(descriptor.number, &call) < 0 {
      if errno == ENOENT { return nil }
      throw LinuxError.last("ioctl SECCOMP_IOCTL_NOTIF_RECV", "listener")
    }
    let arguments = withUnsafeBytes(of: call.arguments) { Array($0.bindMemory(to: UInt64.self)) }
    return Call(
      id: call.id, thread: call.thread, number: call.number, arguments: arguments,
      isNative: call.architecture == UInt32(bitPattern: cl_native_architecture()))
  }

  /// Lets the kernel carry it out. A thread that is gone is no error.
  public func carryOn(_ call: Call) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    try answered(cl_notify_continue(descriptor.number, call.id))
  }

  /// Makes it answer with this errno. A thread that is gone is no error.
  public func refuse(_ call: Call, with code: Int32) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    try answered(cl_notify_refuse(descriptor.number, call.id, code))
  }

  private func answered(_ result: Int32) throws(LinuxError) {
    if result < 0 && errno != ENOENT { throw LinuxError.last("ioctl SECCOMP_IOCTL_NOTIF_SEND", "listener") }
  }

  /// Whether it still waits: then what was read of its thread in the meantime was that thread's, and not of a process that
  /// got its number later.
  public func isWaiting(_ call: Call) -> Bool {
    withExtendedLifetime(descriptor) { cl_notify_waits(descriptor.number, call.id) == 0 }
  }
}

/// Memory of another process whose owner we may look into; nil where it can't be read.
public func readMemory(of thread: pid_t, at address: UInt64, count: Int) -> [UInt8]? {
  var buffer = [UInt8](repeating: 0, count: count)
  let length = buffer.withUnsafeMutableBytes { cl_read_memory(thread, address, $0.baseAddress, $0.count) }
  if length < 0 { return nil }
  buffer.removeLast(count - length)
  return buffer
}

/// A NUL-terminated text in another process's memory, at most `limit` bytes. Page by page: the one behind it may not be there.
public func readText(of thread: pid_t, at address: UInt64, limit: Int = 4096) -> String? {
  var text: [UInt8] = []
  var address = address
  while text.count < limit {
    guard let part = readMemory(of: thread, at: address, count: 4096 - Int(address % 4096)), !part.isEmpty else {
      return nil
    }
    if let end = part.firstIndex(of: 0) { return String(decoding: text + part[..<end], as: UTF8.self) }
    text += part
    address += UInt64(part.count)
  }
  return nil
}

/// Makes this process the parent of its descendants' orphans, so that it can end and reap them.
public func adoptOrphans() throws(LinuxError) {
  try check(cl_adopt_orphans(), "prctl PR_SET_CHILD_SUBREAPER", "1")
}
