import CLinux
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Linux

private let isRoot = geteuid() == 0

/// A directory of one test's own.
final class TestDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/botburrow-mount-XXXXXX".utf8CString)
    _ = try #require(mkdtemp(&template))
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
  deinit { try? removeTree(path) }

  /// A file of this many zeros.
  func zeros(_ name: String, _ size: Int) throws -> Descriptor {
    let file = try Descriptor.open("\(path)/\(name)", O_RDWR | O_CREAT)
    try #require(ftruncate(file.number, size) == 0)
    return file
  }
}

/// Runs a program to its end; its words where it failed.
func command(_ program: String, _ arguments: [String]) throws {
  let (output, end) = try makePipe()
  let child = try ProcessHandle(
    child: try spawn(
      program, [program] + arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [nil, end, end])
  )
  end.close()
  let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
  #expect(try child.wait() == .exited(0), "\(program): \(text)")
}

/// The device may be another test's by now.
private func isAttached(_ path: String, to number: Int) -> Bool {
  let file = try? readFile("/sys/block/loop\(number)/loop/backing_file")
  return LoopDevice.isAttached(number) && file?.hasPrefix(path) == true
}

@Suite("Loop devices", .enabled(if: isRoot, "needs root")) struct LoopDeviceTests {
  @Test func `A device goes with its last user`() throws {
    let directory = try TestDirectory()
    let image = try directory.zeros("image", 1 << 20)
    let number: Int
    do {
      let device = try LoopDevice.attach(image, name: "image", readOnly: false)
      number = device.number
      #expect(isAttached("\(directory.path)/image", to: number))
      try device.descriptor.write(Array("written".utf8))
      #expect(fsync(device.descriptor.number) == 0)
    }
    #expect(!isAttached("\(directory.path)/image", to: number))
    #expect(try readFile("\(directory.path)/image").hasPrefix("written"))
  }

  @Test func `A read-only device writes nothing`() throws {
    let directory = try TestDirectory()
    _ = try directory.zeros("image", 1 << 20)
    let device = try LoopDevice.attach(try Descriptor.open("\(directory.path)/image"), name: "image", readOnly: true)
    let writable = open(device.path, O_RDWR)
    #expect(write(writable, "x", 1) < 0)
    close(writable)
  }

  @Test func `The image's lock lasts as long as the device`() throws {
    let directory = try TestDirectory()
    let other = try directory.zeros("image", 1 << 20)
    do {
      let device: LoopDevice
      do {
        let image = try Descriptor.open("\(directory.path)/image", O_RDWR)
        #expect(flock(image.number, LOCK_EX | LOCK_NB) == 0)
        device = try LoopDevice.attach(image, name: "image", readOnly: false)
      }
      #expect(flock(other.number, LOCK_EX | LOCK_NB) < 0)
      withExtendedLifetime(device) {}
    }
    #expect(flock(other.number, LOCK_EX | LOCK_NB) == 0)
  }

  @Test(arguments: ["/tmp", "/dev/shm"])
  func `The page cache is bypassed where the image's file system can`(place: String) throws {
    let path = "\(place)/botburrow-loop-\(getpid())"
    let image = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
    defer { unlink(path) }
    #expect(ftruncate(image.number, 1 << 20) == 0)
    let direct = open(path, O_RDONLY | 0o40000)  // O_DIRECT
    if direct >= 0 { close(direct) }
    let device = try LoopDevice.attach(image, name: path, readOnly: false)
    #expect(device.isDirect == (direct >= 0))
    try device.descriptor.write([1, 2, 3])
    #expect(fsync(device.descriptor.number) == 0)
  }

  @Test func `Many at once get a device each`() async throws {
    let directory = try TestDirectory()
    let images = try (0..<12).map { try directory.zeros("\($0)", 1 << 20) }
    let devices = try await withThrowingTaskGroup(of: LoopDevice.self) { group in
      for image in images { group.addTask { try LoopDevice.attach(image, name: "image", readOnly: false) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(devices.map(\.number)).count == 12)
    #expect(devices.allSatisfy { LoopDevice.isAttached($0.number) })
  }

  @Test func `What can't be attached says so and leaves nothing`() throws {
    let (pipe, _) = try makePipe()
    let error = #expect(throws: LinuxError.self) { try LoopDevice.attach(pipe, name: "pipe", readOnly: true) }
    #expect(error?.operation == "LOOP_CONFIGURE" && error?.object.hasSuffix("for pipe") == true)
  }
}

@Suite("Detached mounts", .enabled(if: isRoot, "needs root")) struct DetachedMountTests {
  @Test func `A file system in memory holds what its option says and no more`() throws {
    for (size, fits) in [("1m", false), ("4m", true)] {
      let mount = try DetachedMount.make("tmpfs", options: [.init("size", size)], attributes: [.noSetuid])
      let file = Descriptor(owning: cl_openat(mount.descriptor.number, "file", O_WRONLY | O_CREAT, 0o600))
      let bytes = [UInt8](repeating: 1, count: 2 << 20)
      if fits {
        try file.write(bytes)
      } else {
        #expect(#expect(throws: LinuxError.self) { try file.write(bytes) }?.code == ENOSPC)
      }
    }
  }

  @Test func `The file system's own words come with the errno`() throws {
    let option = #expect(throws: LinuxError.self) {
      try DetachedMount.make("tmpfs", options: [.init("mode", "bad")], attributes: [])
    }
    #expect(option?.operation == "fsconfig tmpfs mode" && option?.code == EINVAL)
    #expect(option?.advice.contains("mode") == true)
    let none = #expect(throws: LinuxError.self) { try DetachedMount.make("nofs", attributes: []) }
    #expect(none?.description == "fsopen nofs nofs: ENODEV (No such device); this kernel has no nofs")
    let directory = try TestDirectory()
    let device = try LoopDevice.attach(try directory.zeros("zeros", 1 << 20), name: "zeros", readOnly: true)
    let empty = #expect(throws: LinuxError.self) {
      try DetachedMount.make(
        "squashfs", source: device.path, options: [.init("ro")], attributes: [.readOnly], label: "zeros")
    }
    #expect(empty?.operation == "mount squashfs" && empty?.object == "zeros")
    #expect(empty?.advice.contains("superblock") == true)
  }

  @Test(arguments: [
    ("squashfs", "/usr/bin/mksquashfs", ["SOURCE", "IMAGE", "-quiet", "-no-progress"]),
    ("erofs", "/usr/bin/mkfs.erofs", ["IMAGE", "SOURCE"]),
  ])
  func `An image can be read and not written`(type: String, program: String, arguments: [String]) throws {
    let directory = try TestDirectory()
    let source = directory.path + "/source"
    mkdir(source, 0o755)
    try Descriptor.replacing(source + "/file", mode: 0o644).write("content".utf8)
    let path = directory.path + "/image"
    try command(program, arguments.map { $0 == "SOURCE" ? source : $0 == "IMAGE" ? path : $0 })
    let number: Int
    do {
      let device = try LoopDevice.attach(try Descriptor.open(path), name: "image", readOnly: true)
      number = device.number
      let mount = try DetachedMount.make(
        type, source: device.path, options: [.init("ro")], attributes: [.readOnly, .noSetuid, .noDevices], label: path)
      device.descriptor.close()
      let file = Descriptor(owning: cl_openat(mount.descriptor.number, "file", O_RDONLY, 0))
      #expect(try file.readAll(limit: 100) == Array("content".utf8))
      #expect(cl_openat(mount.descriptor.number, "new", O_WRONLY | O_CREAT, 0o600) < 0 && errno == EROFS)
      #expect(isAttached(path, to: number))
    }
    #expect(!isAttached(path, to: number))
  }

  @Test func `Who has an id in a user namespace owns what has it on disk`() throws {
    let directory = try TestDirectory()
    let path = directory.path + "/image"
    _ = try directory.zeros("image", 16 << 20)
    try command("/sbin/mkfs.ext4", ["-q", "-F", "-E", "root_owner=1000:1000", path])
    let users = try TestUserNamespace(firstID: 1_234_500_000)
    do {
      let device = try LoopDevice.attach(try Descriptor.open(path, O_RDWR), name: "image", readOnly: false)
      let mount = try DetachedMount.make("ext4", source: device.path, attributes: [.noSetuid, .noDevices])
      #expect(try mount.openRoot("").status("").st_uid == 1000)
      try mount.map(to: users.descriptor, label: "image")
      #expect(try mount.openRoot("").status("").st_uid == 1_234_501_000)
      // Once is all.
      #expect(throws: LinuxError.self) { try mount.map(to: users.descriptor, label: "image") }
    }
    #expect(try Descriptor.open(path).status("").st_uid == getuid())
  }

  @Test func `Restrictions reach the mounts below`() throws {
    // /dev has mounts below it (pts, shm).
    let host = try Descriptor.open("/", O_RDONLY | O_DIRECTORY)
    for (recursive, denied) in [(true, true), (false, false)] {
      let tree = try DetachedMount.copy(of: "dev", in: host, recursive: true, attributes: [])
      try tree.restrict([.readOnly], recursive: recursive, label: "/dev")
      let file = cl_openat(
        tree.descriptor.number, "shm/botburrow-mount-\(getpid())", O_WRONLY | O_CREAT | O_EXCL, 0o600)
      #expect((file < 0) == denied)
      if file >= 0 {
        close(file)
        unlink("/dev/shm/botburrow-mount-\(getpid())")
      }
    }
  }
}

/// A user namespace with 65,536 ids, kept by a process that waits for its end.
final class TestUserNamespace: Sendable {
  let descriptor: Descriptor
  private let holder: ProcessHandle
  private let lifeline: Descriptor

  init(firstID: Int) throws {
    let (input, lifeline) = try makePipe()
    let (answer, output) = try makePipe()
    let child = try spawn(
      "/usr/bin/unshare", ["unshare", "--user", "/bin/sh", "-c", "echo x; read x"], descriptors: [input, output, nil])
    holder = try ProcessHandle(child: child)
    self.lifeline = lifeline
    output.close()
    var byte: UInt8 = 0
    try #require(read(answer.number, &byte, 1) == 1)
    try writeFile("/proc/\(child)/uid_map", "0 \(firstID) 65536")
    try writeFile("/proc/\(child)/gid_map", "0 \(firstID) 65536")
    descriptor = try Descriptor.open("/proc/\(child)/ns/user")
  }

  deinit {
    lifeline.close()
    _ = try? holder.wait()
  }
}

@Suite("Paths in a directory of strangers") struct ResolveTests {
  @Test(arguments: ["out", "in", "up", "deep/file", "magic"])
  func `No link is followed`(path: String) throws {
    let directory = try TestDirectory()
    let place = directory.path
    mkdir(place + "/root", 0o755)
    mkdir(place + "/root/real", 0o755)
    try Descriptor.replacing(place + "/root/real/file", mode: 0o644).write("inside".utf8)
    try Descriptor.replacing(place + "/file", mode: 0o644).write("outside".utf8)
    for (name, target) in [
      ("out", place + "/file"), ("in", "real/file"), ("up", "../file"), ("deep", "real"),
      ("magic", "/proc/self/fd/0"),
    ] { #expect(symlink(target, "\(place)/root/\(name)") == 0) }
    let root = try Descriptor.open(place + "/root", O_RDONLY | O_DIRECTORY)
    // Control: an ordinary open follows it.
    #expect(path == "magic" || access("\(place)/root/\(path)", R_OK) == 0)
    #expect(#expect(throws: LinuxError.self) { try root.openBelow(path, O_RDONLY) }?.code == ELOOP)
    #expect(try root.openBelow("real/file", O_RDONLY).readAll(limit: 100) == Array("inside".utf8))
    // `..` stays inside.
    #expect(try root.openBelow("../real/../../real/file", O_RDONLY).readAll(limit: 100) == Array("inside".utf8))
    #expect(#expect(throws: LinuxError.self) { try root.openBelow("../file", O_RDONLY) }?.code == ENOENT)
  }

  @Test func `A link at the end is opened itself`() throws {
    let directory = try TestDirectory()
    #expect(symlink("/nowhere", directory.path + "/link") == 0)
    let root = try Descriptor.open(directory.path, O_RDONLY | O_DIRECTORY)
    let link = try root.pathBelow("link")
    #expect(FileKind(mode: try link.status("").st_mode) == .symlink)
    #expect(try link.linkTarget("") == "/nowhere")
    #expect(try Descriptor.open(directory.path, O_RDONLY | O_DIRECTORY).names("", limit: 1) == ["link"])
  }
}
