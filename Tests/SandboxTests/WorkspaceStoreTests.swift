import CLinux
import Glibc
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0
private let mebibyte = 1 << 20

/// A store in a directory of one test's own.
private final class TestStore: Sendable {
  let directory: String
  let store: WorkspaceStore

  init() throws {
    var template = Array("/tmp/botburrow-workspaces-XXXXXX".utf8CString)
    _ = try #require(mkdtemp(&template))
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    store = try WorkspaceStore(directory: directory)
  }
  deinit { try? removeTree(directory) }

  func path(_ agent: String) -> String { "\(directory)/\(agent).ext4" }

  /// Opens, uses and closes.
  func with<Value>(_ agent: String = "agent", size: Int = 16 << 20, _ body: (Workspace) throws -> Value) throws -> Value
  {
    let workspace = try store.open(agent, size: size, uid: 1000, gid: 1000)
    let value = try body(workspace)
    try store.close(workspace)
    return value
  }

  func refusal(_ agent: String = "agent", size: Int = 16 << 20) -> String? {
    do throws(WorkspaceError) {
      try store.close(try store.open(agent, size: size, uid: 1000, gid: 1000))
      return nil
    } catch { return error.description }
  }
}

extension Workspace {
  fileprivate func write(_ name: String, _ bytes: [UInt8]) throws {
    let number = cl_openat(mount.descriptor.number, name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(number >= 0)
    try Descriptor(owning: number).write(bytes)
  }
  fileprivate func read(_ name: String) throws -> [UInt8] {
    try Descriptor(owning: cl_openat(mount.descriptor.number, name, O_RDONLY, 0)).readAll(limit: 1 << 24)
  }
}

/// What the host's loop devices are made of.
func attachedImages() throws -> [String] {
  try Descriptor.open("/sys/block", O_RDONLY | O_DIRECTORY).names("/sys/block", limit: 10000).compactMap {
    try? readFile("/sys/block/\($0)/loop/backing_file")
  }
}

@Suite("Persistent workspaces", .enabled(if: isRoot, "needs root")) struct WorkspaceStoreTests {
  @Test func `What was written is there the next time, and nothing is held between`() throws {
    let test = try TestStore()
    let path = test.path("agent")
    try test.with { workspace in
      #expect(try workspace.mount.openRoot("").names("", limit: 10) == [])
      let root = try workspace.mount.openRoot("").status("")
      #expect(root.st_uid == 1000 && root.st_gid == 1000 && root.st_mode & 0o7777 == 0o700)
      try workspace.write("file", Array("kept".utf8))
      #expect(try attachedImages().contains { $0.hasPrefix(path) })
    }
    #expect(try !attachedImages().contains { $0.hasPrefix(path) })
    #expect(try test.with { try $0.read("file") } == Array("kept".utf8))
    let status = try Descriptor.open(path).status(path)
    #expect(status.st_mode & 0o7777 == 0o600 && status.st_size == 16 << 20)
    // Sparse: it takes what is in it.
    #expect(status.st_blocks * 512 < 4 << 20)
  }

  @Test func `Nothing is stored beyond the limit, and the file never grows`() throws {
    let test = try TestStore()
    let bytes = [UInt8](repeating: 7, count: 8 << 20)
    try test.with(size: 16 << 20) { workspace in
      try workspace.write("fits", bytes)
      #expect(#expect(throws: LinuxError.self) { try workspace.write("not", bytes) }?.code == ENOSPC)
      let receipt = workspace.description(path: "/workspace")
      #expect(receipt["limit_bytes"] == 16_777_216 && receipt["path"] == "/workspace")
      let used = try #require(receipt["used_bytes"]?.integer)
      #expect(used > 10 << 20 && used <= 16 << 20)
    }
    #expect(try Descriptor.open(test.path("agent")).status("").st_size == 16 << 20)
    // Control: the same writes into a larger one.
    try test.with("other", size: 32 << 20) { workspace in
      try workspace.write("fits", bytes)
      try workspace.write("not", bytes)
    }
  }

  @Test func `One activation at a time, each agent its own`() throws {
    let test = try TestStore()
    try test.with { _ in
      #expect(
        test.refusal()
          == "the workspace of 'agent' is in use by another activation; try again when that has ended")
      #expect(test.refusal("other") == nil)
    }
    #expect(test.refusal() == nil)
  }

  @Test func `To let go twice takes nothing away from the next`() throws {
    let test = try TestStore()
    let first = try test.store.open("agent", size: 16 << 20, uid: 1000, gid: 1000)
    try test.store.close(first)
    let second = try test.store.open("agent", size: 16 << 20, uid: 1000, gid: 1000)
    #expect(throws: WorkspaceError.self) { try test.store.close(first) }
    #expect(test.refusal()?.contains("in use by another activation") == true)
    try test.store.close(second)
    #expect(test.refusal() == nil)
  }

  @Test func `One that is moved away meanwhile is let go, and a new one is made`() throws {
    let test = try TestStore()
    try test.with { workspace in
      try workspace.write("file", Array("old".utf8))
      #expect(rename(workspace.image, test.directory + "/aside") == 0)
    }
    let names = try test.with { try $0.mount.openRoot("").names("", limit: 10) }
    #expect(names == [])
    #expect(try Descriptor.open(test.directory + "/aside").status("").st_size == 16 << 20)
  }

  @Test func `The kernel keeps the lock until the file system is gone`() throws {
    let test = try TestStore()
    let image = try test.with { workspace in
      // Another supervisor, which knows nothing of ours.
      let image = try Descriptor.open(workspace.image, O_RDWR)
      #expect(flock(image.number, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
      return image
    }
    #expect(flock(image.number, LOCK_EX | LOCK_NB) == 0)
  }

  @Test func `It grows when more is allowed, and keeps what is in it`() throws {
    let test = try TestStore()
    try test.with(size: 16 << 20) { try $0.write("file", Array("kept".utf8)) }
    let bytes = [UInt8](repeating: 7, count: 20 << 20)
    try test.with(size: 48 << 20) { workspace in
      #expect(try workspace.read("file") == Array("kept".utf8))
      #expect(try workspace.mount.openRoot("").names("", limit: 10) == ["file"])
      try workspace.write("more", bytes)
    }
    // A supervisor that was killed between both steps of growing left the file longer than its file system.
    #expect(truncate(test.path("agent"), 64 << 20) == 0)
    let total = try test.with(size: 64 << 20) { try $0.mount.usage("").totalBytes }
    #expect(total > 56 << 20)
  }

  @Test func `It never shrinks: less than it has is refused, with what to do`() throws {
    let test = try TestStore()
    try test.with(size: 32 << 20) { _ in }
    let sentence = try #require(test.refusal(size: 16 << 20))
    #expect(sentence.hasPrefix("\(test.path("agent")) has 33554432 bytes, more than the 16777216 that are allowed now"))
    #expect(test.refusal(size: 32 << 20) == nil)
  }

  @Test func `A damaged image is refused and left as it is`() throws {
    let test = try TestStore()
    try test.with { try $0.write("file", Array("kept".utf8)) }
    let image = try Descriptor.open(test.path("agent"), O_RDWR)
    var superblock = [UInt8](repeating: 0, count: 1024)
    #expect(pread(image.number, &superblock, 1024, 1024) == 1024)
    let zeros = [UInt8](repeating: 0, count: 1024)
    #expect(pwrite(image.number, zeros, 1024, 1024) == 1024)
    let sentence = try #require(test.refusal())
    #expect(
      sentence
        == """
        \(test.path("agent")) is damaged: there is no ext4 file system in it; repair it with 'e2fsck -f \
        \(test.path("agent"))', or move it away, and a new one is made
        """)
    // A checksum that doesn't fit: the mount itself fails.
    var broken = superblock
    broken[0x78] ^= 0xff
    #expect(pwrite(image.number, broken, 1024, 1024) == 1024)
    #expect(try #require(test.refusal()).contains("it can't be mounted: mount ext4"))
    #expect(try attachedImages().contains { $0.hasPrefix(test.path("agent")) } == false)
    #expect(pwrite(image.number, superblock, 1024, 1024) == 1024)
    #expect(try test.with { try $0.read("file") } == Array("kept".utf8))
  }

  @Test func `A stranger's file in an image's place is refused`() throws {
    let test = try TestStore()
    try test.with { _ in }
    let path = test.path("agent")
    #expect(rename(path, test.directory + "/elsewhere") == 0)
    #expect(symlink(test.directory + "/elsewhere", path) == 0)
    #expect(try #require(test.refusal()).contains("it is a symbolic link"))
    #expect(unlink(path) == 0 && link(test.directory + "/elsewhere", path) == 0)
    #expect(try #require(test.refusal()).contains("it has a second name"))
    #expect(unlink(path) == 0 && mkfifo(path, 0o600) == 0)
    #expect(try #require(test.refusal()).contains("it is no regular file"))
    #expect(unlink(path) == 0 && rename(test.directory + "/elsewhere", path) == 0)
    #expect(chmod(path, 0o666) == 0)
    #expect(try #require(test.refusal()).contains("others may write it"))
    #expect(chmod(path, 0o600) == 0)
    #expect(test.refusal() == nil)
  }

  @Test(arguments: ["ab", "../agent", "Agent", "agent.ext4", "a/b", "", String(repeating: "a", count: 51)])
  func `Only an agent's id names a workspace`(name: String) throws {
    let test = try TestStore()
    #expect(try #require(test.refusal(name)).contains("can't name a workspace"))
  }

  @Test func `A directory that others may enter is refused`() throws {
    let test = try TestStore()
    #expect(chmod(test.directory, 0o755) == 0)
    let error = #expect(throws: WorkspaceError.self) { try WorkspaceStore(directory: test.directory) }
    #expect(error?.description.contains("chmod 700 \(test.directory)") == true)
  }

  @Test func `Half-made images are swept, whole ones are not`() throws {
    let test = try TestStore()
    try test.with { _ in }
    try Descriptor.replacing(test.directory + "/other.ext4.new", mode: 0o600).write([1])
    try test.store.sweep()
    #expect(try files(in: test.directory) == ["agent.ext4"])
  }
}

@Suite("Decisions on workspaces") struct WorkspaceDecisionTests {
  private func superblock(size: Int, errors: Bool = false) throws -> Ext4Superblock {
    var bytes = [UInt8](repeating: 0, count: 1024)
    func put(_ value: Int, _ count: Int, at offset: Int) {
      for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
    put(0xEF53, 2, at: 0x38)
    put(2, 4, at: 0x18)
    put(errors ? 2 : 1, 2, at: 0x3A)
    put(0x80, 4, at: 0x60)
    put(size / 4096, 4, at: 0x4)
    put((size / 4096) >> 32, 4, at: 0x150)
    return try #require(Ext4Superblock(bytes))
  }

  @Test func `A superblock tells size and state`() throws {
    let large = try superblock(size: 1 << 46)
    #expect(large.size == 1 << 46 && large.blockSize == 4096 && !large.hasErrors)
    #expect(try superblock(size: 1 << 20, errors: true).hasErrors)
    #expect(Ext4Superblock([UInt8](repeating: 0, count: 1024)) == nil)
    #expect(Ext4Superblock([]) == nil)
  }

  @Test func `Equal is used, less is grown, more or damaged is refused`() throws {
    let of = { (length: Int, system: Int, wanted: Int) throws(WorkspaceError) in
      let superblock = try? superblock(size: system * mebibyte)
      return try WorkspaceStore.decide(
        "p", length: length * mebibyte, superblock: superblock, wanted: wanted * mebibyte)
    }
    #expect(try of(16, 16, 16) == .use)
    #expect(try of(16, 16, 32) == .grow)
    #expect(try of(32, 16, 32) == .grow)
    #expect(throws: WorkspaceError.tooLarge(path: "p", size: 32 * mebibyte, limit: 16 * mebibyte)) {
      try of(32, 32, 16)
    }
    #expect(throws: WorkspaceError.damaged(path: "p", reason: "its end is missing")) { try of(16, 32, 32) }
    #expect(throws: WorkspaceError.damaged(path: "p", reason: "ext4 has met errors in it")) {
      try WorkspaceStore.decide(
        "p", length: mebibyte, superblock: try superblock(size: mebibyte, errors: true), wanted: mebibyte)
    }
  }
}
