import CLinux
import Glibc
import Testing

@testable import Linux

private let isRoot = geteuid() == 0

/// Runs a program with what it says; the calling thread's namespaces are its own.
func output(_ program: String, _ arguments: [String], descriptors more: [Int: Int32] = [:]) throws -> String {
  let null = try Descriptor.open("/dev/null")
  let (read, write) = try makePipe()
  var descriptors: [Descriptor?] = [null, write, write]
  for (target, source) in more {
    while descriptors.count <= target { descriptors.append(nil) }
    descriptors[target] = .borrowed(source)
  }
  let process = try ProcessHandle(child: try spawn(program, arguments, descriptors: descriptors))
  write.close()
  let text = String(decoding: try read.readAll(limit: 1 << 20), as: UTF8.self)
  #expect(try process.wait() == .exited(0), "\(arguments): \(text)")
  return text
}

/// Runs `body` on a thread of its own in a fresh network namespace; thread and namespace end with it.
func inNetworkNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detach {
      continuation.resume(
        with: Result {
          try NetworkNamespace.isolateProcess()
          return try body()
        })
    }
  }
}

@Suite("Descriptors, sockets, processes") struct DescriptorTests {
  @Test func `A sealed file can't be changed`() throws {
    let file = try Descriptor.sealed(Array("content".utf8), name: "test")
    #expect(file.isSealed)
    #expect(pwrite(file.number, "x", 1, 0) == -1 && errno == EPERM)
    #expect(ftruncate(file.number, 0) == -1 && errno == EPERM)
    #expect(mmap(nil, 7, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0) == MAP_FAILED)
    let writable = Descriptor(owning: cl_memfd_create("test"))
    #expect(!writable.isSealed)
    #expect(try !Descriptor.open("/dev/null").isSealed)
  }

  @Test func `Reading stops at its limit`() throws {
    let error = #expect(throws: LinuxError.self) { try readFile("/proc/self/status", limit: 10) }
    #expect(error?.code == EFBIG)
  }

  @Test func `Descriptors travel, and the sender's going is nil`() throws {
    let (left, right) = try PacketSocket.pair()
    let (read, write) = try makePipe()
    try left.send([1, 2, 3], descriptors: [write])
    write.close()
    let packet = try #require(try right.receive())
    #expect(packet.bytes == [1, 2, 3])
    try #require(packet.descriptors.count == 1)
    try packet.descriptors[0].write([9])
    packet.descriptors[0].close()
    #expect(try read.readAll(limit: 10) == [9])
    left.descriptor.close()
    #expect(try right.receive() == nil)
  }

  @Test func `The last packet of an end that closed with one of ours unread is not lost`() throws {
    let (left, right) = try PacketSocket.pair()
    try left.send([1])
    try right.send([2])
    right.descriptor.close()
    #expect(try left.receive()?.bytes == [2])
    #expect(try left.receive() == nil)
  }

  @Test func `A packet that doesn't fit is refused and its descriptors are closed`() throws {
    let (left, right) = try PacketSocket.pair()
    let (read, write) = try makePipe()
    try left.send([UInt8](repeating: 0, count: PacketSocket.packetLimit + 1), descriptors: [write])
    write.close()
    let error = #expect(throws: LinuxError.self) { try right.receive() }
    #expect(error?.code == EMSGSIZE)
    // The end of the pipe comes only when the last copy is closed.
    #expect(try read.readAll(limit: 10) == [])
    let (mine, theirs) = try makePipe()
    try left.send([1], descriptors: [theirs, theirs, theirs])
    theirs.close()
    var (byte, numbers, room): (UInt8, [Int32], Int32) = (0, [-1], 1)
    #expect(cl_receive_packet(right.descriptor.number, &byte, 1, &numbers, &room) == -1 && errno == EMSGSIZE)
    #expect(try mine.readAll(limit: 10) == [])
    let many = [Descriptor](repeating: read, count: 251)
    #expect(#expect(throws: LinuxError.self) { try left.send([1], descriptors: many) }?.code == E2BIG)
  }

  @Test func `A full queue doesn't hold a sender that doesn't want to wait`() throws {
    let (left, right) = try PacketSocket.pair()
    let error = #expect(throws: LinuxError.self) {
      for _ in 0..<100_000 { try left.send([1], waits: false) }
    }
    #expect(error?.code == EAGAIN)
    withExtendedLifetime(right) {}
  }

  @Test func `Spawned descriptors land where they should though numbers collide`() throws {
    let first = try Descriptor.sealed(Array("first ".utf8), name: "first")
    let second = try Descriptor.sealed(Array("second".utf8), name: "second")
    let (a, b) = (first.number, second.number)
    let text = try output(
      "/bin/cat", ["cat", "/proc/self/fd/\(a)", "/proc/self/fd/\(b)"], descriptors: [Int(a): b, Int(b): a])
    #expect(text == "secondfirst ")
  }

  @Test func `More descriptors than there is room for are refused`() throws {
    let error = #expect(throws: LinuxError.self) {
      try spawn("/bin/true", ["true"], descriptors: [Descriptor?](repeating: nil, count: 601))
    }
    #expect(
      error?.description
        == "spawn /bin/true: E2BIG (Argument list too long); hand over at most 600 descriptors")
  }

  @Test func `Ends are told apart, and what isn't there is an error`() throws {
    let end = { (command: String) in
      try ProcessHandle(child: try spawn("/bin/sh", ["sh", "-c", command], descriptors: [])).wait()
    }
    #expect(try end("exit 7") == .exited(7))
    #expect(try end("kill -9 $$") == .signaled(9))
    let error = #expect(throws: LinuxError.self) { try spawn("/nonexistent", ["x"], descriptors: []) }
    #expect(error?.description == "posix_spawn /nonexistent: ENOENT (No such file or directory)")
  }

  @Test func `Waiting ends with its time`() throws {
    let (read, write) = try makePipe()
    let start = ContinuousClock.now
    #expect(try waitReadable([read], timeout: .milliseconds(30)) == [false])
    #expect(ContinuousClock.now - start >= .milliseconds(30))
    try write.write([1])
    #expect(try waitReadable([read, nil], timeout: nil) == [true, false])
  }

  @Test func `A socket file of the dead is replaced, one of the living is not`() throws {
    let path = "/tmp/botburrow-linux-\(getpid()).sock"
    defer { unlink(path) }
    do { _ = try PacketListener(at: path, mode: 0o600, owner: getuid(), group: getgid()) }
    let limit = ContinuousClock.now + .seconds(60)
    var listener: PacketListener?
    while listener == nil {
      do throws(LinuxError) {
        listener = try PacketListener(at: path, mode: 0o600, owner: getuid(), group: getgid())
      } catch {
        // Another test has just forked: its child keeps the dead one alive until it executes something.
        guard error.code == EADDRINUSE, ContinuousClock.now < limit else { throw error }
        usleep(10_000)
      }
    }
    let error = #expect(throws: LinuxError.self) {
      try PacketListener(at: path, mode: 0o600, owner: getuid(), group: getgid())
    }
    #expect(
      error?.description
        == "bind \(path): EADDRINUSE (Address already in use); another supervisor serves this socket")
    withExtendedLifetime(listener) {}
    let long = #expect(throws: LinuxError.self) { try PacketSocket.connect(to: String(repeating: "x", count: 108)) }
    #expect(long?.advice == "choose a path of at most 107 bytes")
  }
}

@Suite("Control groups", .enabled(if: isRoot, "needs root")) struct ControlGroupTests {
  @Test func `A group holds, kills, empties and goes`() throws {
    let group = try ControlGroup.current().child("linux-tests-\(getpid())")
    try group.create()
    defer { try? group.remove() }
    let (read, write) = try makePipe()
    let process = try ProcessHandle(
      child: try spawn("/bin/sh", ["sh", "-c", "read x; sleep 60 & read x; exit 1"], descriptors: [read]))
    try group.set("cgroup.procs", "\(process.pid)")
    try write.write(Array("x\n".utf8))
    #expect(group.count("populated", in: "cgroup.events") == 1)
    #expect(try !group.waitUntilEmpty(timeout: .milliseconds(20)))
    #expect(#expect(throws: LinuxError.self) { try group.remove() }?.code == EBUSY)
    try group.kill()
    #expect(try process.wait() == .signaled(9))
    #expect(try group.waitUntilEmpty(timeout: .seconds(5)))
    try group.child("below").create()
    try group.remove()
    #expect(access(group.path, F_OK) == -1)
    // Gone already is fine.
    try group.remove()
    #expect(group.value("cgroup.events") == nil)
    withExtendedLifetime(write) {}
  }

  @Test func `What can't be set says so`() throws {
    let group = try ControlGroup.current().child("linux-tests-bad-\(getpid())")
    let error = #expect(throws: LinuxError.self) { try group.set("pids.max", "3") }
    #expect(error?.description == "open \(group.path)/pids.max: ENOENT (No such file or directory)")
  }
}

@Suite("Capabilities", .enabled(if: isRoot, "needs root")) struct CapabilityTests {
  @Test func `Root has them`() {
    #expect(Capabilities.has("cap_sys_admin"))
    #expect(!Capabilities.has("cap_nonsense"))
  }
}
