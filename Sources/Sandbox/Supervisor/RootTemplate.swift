import CLinux
import Glibc
import Linux

/// A profile's root, laid out once in a mount namespace of its own in which there is nothing else. A launcher enters it and
/// makes PID 1 with a copy: so no sandbox has ever seen a mount of the host, and the kernel locks what it copied into the
/// sandbox's user namespace (mount_namespaces(7)): nothing of it can be unmounted or made writable there.
struct RootTemplate: Sendable {
  /// The mount namespace; it lives as long as somebody holds it.
  var namespace: Descriptor
  /// The profile's masked and read-only paths that exist.
  var covered: [Plan.Ground.Covered]

  /// Lays it out on a thread of its own, which visits the new namespace and ends there.
  static func make(
    profile: Profile, initProgram: Descriptor, loop: String? = nil, present: (String) -> RootPlan.PathKind?
  ) throws(LinuxError) -> RootTemplate {
    try Faults.point("open root")
    let tree = try RootTree.open(profile.root)
    var operations = RootPlan.make(profile: profile, loop: loop, present: present)
    if let tree { operations = try RootPlan.adding(tree.source, to: operations, profile: profile) }
    let steps = operations
    return try Thread.await { () throws(LinuxError) in
      // Implies an own root and working directory (CLONE_FS), so that no other thread moves along.
      try Faults.point("unshare root")
      try check(cl_unshare(Int32(CL_NEWNS)), "unshare", "CLONE_NEWNS")
      let builder = Builder(initProgram: initProgram, tree: tree)
      return try builder.build(steps, profile)
    }
  }
}

/// Works in a fresh copy of the supervisor's mount namespace. The new root is the working directory until it is made the
/// root; what the host has is reached by absolute paths until then.
private struct Builder {
  let initProgram: Descriptor
  let tree: RootTree?
  /// What is below the place where the new root is built can't be shown in it: a directory that every host has and no profile
  /// wants. The kernel makes the first ones for file systems of its own.
  private static let stage =
    ["/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing", "/mnt"].first {
      pathKind($0) == .directory
    } ?? "/tmp"
  private static let sourceStage = String(RootPlan.stage.dropFirst())

  func build(_ operations: [RootOperation], _ profile: Profile) throws(LinuxError) -> RootTemplate {
    let namespace = try Descriptor.open("/proc/thread-self/ns/mnt")
    try mount(nil, "/", nil, MS_REC | MS_PRIVATE)
    try mount(
      "tmpfs", Self.stage, "tmpfs", MS_NOSUID | MS_NODEV,
      tree == nil ? "size=1m,nr_inodes=2k,mode=755" : "size=32m,nr_inodes=16k,mode=755")
    try check(chdir(Self.stage), "chdir", Self.stage)
    for operation in operations {
      try Faults.point(operation)
      try perform(operation)
    }
    let covered = covered(profile)
    // The old root is stacked under the new one and then let go, so no directory has to hold it (pivot_root(2), notes).
    try Faults.point("leave the old root")
    try check(cl_pivot_root(".", "."), "pivot_root", Self.stage)
    try check(cl_unmount_detached("."), "umount2", "the old root")
    return RootTemplate(namespace: namespace, covered: covered)
  }

  private func perform(_ operation: RootOperation) throws(LinuxError) {
    switch operation {
    case .directory(let path, let mode):
      try check(mkdir(relative(path), mode_t(mode)), "mkdir", path)
      // Modes are the plan's word, not the umask's.
      try check(chmod(relative(path), mode_t(mode)), "chmod", path)
    case .symlink(let path, let target): try check(Glibc.symlink(target, relative(path)), "symlink", path)
    case .file(let path, let mode, let content):
      let file = try Descriptor.open(relative(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
      try file.write(content)
      try withExtendedLifetime(file) { () throws(LinuxError) in
        _ = try check(fchmod(file.number, mode_t(mode)), "chmod", path)
      }
    case .tree(let source, let path):
      let tree = try openTree(source, recursive: true)
      let attributes = UInt64(CL_ATTR_RDONLY | CL_ATTR_NOSUID | CL_ATTR_NODEV)
      try withExtendedLifetime(tree) { () throws(LinuxError) in
        _ = try check(cl_mount_setattr(tree.number, 1, attributes), "mount_setattr", source)
      }
      try attach(tree, at: path)
    case .device(let path): try attachDevice(path)
    case .emptyProc(let path): try mountEmptyProc(at: path)
    case .openSource(let label):
      try check(mkdir(Self.sourceStage, 0o700), "mkdir", RootPlan.stage)
      guard let tree else { throw LinuxError("stage", label, code: ENOENT) }
      try attach(tree.mount.descriptor, at: RootPlan.stage)
    case .part(let path):
      // Copies of mounts are made of mounts that stand somewhere (open_tree(2) before Linux 6.15).
      let staged = try Descriptor.open(Self.sourceStage, O_RDONLY | O_DIRECTORY)
      let part = try staged.pathBelow(path)
      try attach(
        try DetachedMount.copy(of: "", in: part, recursive: true, attributes: RootTree.attributes, label: path)
          .descriptor,
        at: path)
    case .closeSource:
      try check(cl_unmount_detached(Self.sourceStage), "umount2", RootPlan.stage)
      try check(rmdir(Self.sourceStage), "rmdir", RootPlan.stage)
    case .remountReadOnly: try makeReadOnly()
    }
  }

  /// EBUSY says that a file here is open for writing (mount_setattr(2)). Ours are closed; but a process that another thread
  /// starts has copies of what was open at its fork, until its exec. Nothing tells of that moment.
  private func makeReadOnly() throws(LinuxError) {
    let root = try Descriptor.open(".", O_RDONLY | O_DIRECTORY)
    let deadline = ContinuousClock.now + .seconds(2)
    while true {
      let answer = withExtendedLifetime(root) { cl_mount_setattr(root.number, 0, UInt64(CL_ATTR_RDONLY)) }
      if answer < 0 && errno == EBUSY && ContinuousClock.now < deadline {
        usleep(200)
        continue
      }
      try check(answer, "mount_setattr", "/")
      return
    }
  }

  private func attachDevice(_ path: String) throws(LinuxError) {
    var (major, minor): (UInt32, UInt32) = (0, 0)
    try check(cl_device_number(path, &major, &minor), "stat device", path)
    // A "/dev/null" that is something else would show what should be hidden (CVE-2025-31133).
    if path == "/dev/null", (major, minor) != (1, 3) {
      throw LinuxError("stat device", path, code: ENODEV, advice: "it isn't the null device; repair the host's /dev")
    }
    try attach(try openTree(path, recursive: false), at: path)
  }

  /// By a process of ours that is alone in a PID namespace, and gone afterwards: then the proc shows nobody.
  private func mountEmptyProc(at path: String) throws(LinuxError) {
    try check(cl_unshare(Int32(CL_NEWPID)), "unshare", "CLONE_NEWPID")
    // It mounts on `proc` of the working directory, which it has from us.
    let mounter = try ProcessHandle(
      child: try spawn(
        "/proc/self/fd/\(initProgram.number)", ["botburrow-init", "proc"], descriptors: []))
    let end = try mounter.wait()
    if end != .exited(0) || cl_is_proc(relative(path)) == 0 {
      throw LinuxError(
        "mount proc", path, code: EIO, advice: "botburrow-init should have done it; reinstall it beside botburrow")
    }
  }

  private func covered(_ profile: Profile) -> [Plan.Ground.Covered] {
    profile.masked.compactMap { path in
      switch pathKind(relative(path)) {
      case .directory: .maskedDirectory(path)
      case .file: .maskedFile(path)
      // A link shows nothing itself.
      case .symlink, nil: nil
      }
    } + profile.readOnlyProc.filter { pathKind(relative($0)) != nil }.map { .readOnly($0) }
  }

  private func openTree(_ path: String, recursive: Bool) throws(LinuxError) -> Descriptor {
    Descriptor(owning: try check(cl_open_tree(path, recursive ? 1 : 0), "open_tree", path))
  }

  private func attach(_ tree: Descriptor, at path: String) throws(LinuxError) {
    try withExtendedLifetime(tree) { () throws(LinuxError) in
      _ = try check(cl_move_mount(tree.number, relative(path)), "move_mount", path)
    }
  }

  private func mount(
    _ source: String?, _ target: String, _ type: String?, _ flags: Int, _ options: String? = nil
  ) throws(LinuxError) {
    try check(cl_mount(source, target, type, UInt(flags), options), "mount \(type ?? "")", target)
  }

  private func relative(_ path: String) -> String { String(path.dropFirst()) }
}

// Of sys/mount.h, which Swift sees as an enumeration of its own.
private let MS_NOSUID = 2
private let MS_NODEV = 4
private let MS_REC = 0x4000
private let MS_PRIVATE = 0x40000

/// What a host path is, for the plan.
func pathKind(_ path: String) -> RootPlan.PathKind? {
  var status = stat()
  if lstat(path, &status) < 0 { return nil }
  switch status.st_mode & S_IFMT {
  case S_IFDIR: return .directory
  case S_IFLNK:
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) } ?? 0
    }
    return count > 0 ? .symlink(target: String(decoding: buffer[..<count], as: UTF8.self)) : nil
  default: return .file
  }
}
