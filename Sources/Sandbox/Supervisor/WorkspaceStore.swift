import CLinux
import Glibc
import JSON
import Linux
import Synchronization

/// Why an agent's workspace can't be had. Each is a sentence that says what to do.
enum WorkspaceError: Error, Sendable, Hashable, CustomStringConvertible {
  case badName(String)
  case badDirectory(String, reason: String)
  case inUse(agent: String)
  /// The image is not what the store makes.
  case untrusted(path: String, reason: String)
  case tooLarge(path: String, size: Int, limit: Int)
  case damaged(path: String, reason: String)
  case tool(String, path: String, text: String)
  case kernel(LinuxError)

  var description: String {
    switch self {
    case .badName(let name): "'\(name.prefix(64))' can't name a workspace; an agent's id is 3 to 50 of a-z, 0-9 and '-'"
    case .badDirectory(let path, let reason): "\(path) can't hold workspaces: \(reason)"
    case .inUse(let agent): "the workspace of '\(agent)' is in use by another activation; try again when that has ended"
    case .untrusted(let path, let reason): "\(path) is not used: \(reason); move it away, and a new one is made"
    case .tooLarge(let path, let size, let limit):
      """
      \(path) has \(size) bytes, more than the \(limit) that are allowed now, and a workspace never shrinks; allow it \
      \(size) again, or move the file away (the agent then starts with an empty one)
      """
    case .damaged(let path, let reason):
      "\(path) is damaged: \(reason); repair it with 'e2fsck -f \(path)', or move it away, and a new one is made"
    case .tool(let name, let path, let text): "\(name) failed on \(path): \(text)"
    case .kernel(let error): error.description
    }
  }
}

/// The persistent workspaces of this host: one ext4 image per agent, `<agent>.ext4`, in a directory that only root enters.
///
/// An image's length is the agent's limit: no program in the sandbox can store one byte more, on any kernel. Agents reach
/// an image through the kernel's ext4 alone, as files; none can write its blocks, so what the driver reads is what the
/// driver wrote.
///
/// One activation at a time has a workspace. Its image is locked (flock(2)), and the lock belongs to the open file that the
/// loop device holds: it lasts until the file system is unmounted, whoever of us was killed meanwhile.
final class WorkspaceStore: Sendable {
  /// Smallest image that ext4 makes sense in, bytes. It has no journal below 8 MiB.
  static let smallest = 1 << 20
  /// How long an image may take to be free after its sandbox is gone: what was written last is stored first.
  private static let patience = Duration.seconds(5)

  let directory: String
  private let opened: Descriptor
  /// Who has which, by a number that is never given twice: to let go twice takes nothing away from the next one.
  private let held = Mutex<(last: Int, agents: [String: Int])>((0, [:]))

  /// Takes the directory, making it where it is missing.
  init(directory: String) throws(WorkspaceError) {
    self.directory = directory
    if mkdir(directory, 0o700) < 0 && errno != EEXIST {
      throw .kernel(LinuxError.last("mkdir", directory, advice: "make the directory above it"))
    }
    let status: stat
    do throws(LinuxError) {
      opened = try Descriptor.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      status = try opened.status(directory)
    } catch { throw .kernel(error) }
    if status.st_uid != geteuid() || status.st_mode & 0o077 != 0 {
      throw .badDirectory(
        directory, reason: "others may enter it; give it to root alone: chown root \(directory); chmod 700 \(directory)"
      )
    }
  }

  /// Removes what a killed supervisor left half made. Its mounts and loop devices ended with its sandboxes.
  func sweep() throws(WorkspaceError) {
    let turn = try takeTurn()
    for name in try kernel({ () throws(LinuxError) in try files(in: directory) }) where name.hasSuffix(Self.unfinished)
    {
      let path = "\(directory)/\(name)"
      if unlink(path) < 0 && errno != ENOENT { throw .kernel(LinuxError.last("unlink", path)) }
    }
    withExtendedLifetime(turn) {}
  }

  /// Mounts an agent's workspace, made now where it has none, for one activation.
  /// - Parameters:
  ///   - size: bytes, at least `smallest`; rounded down to whole blocks.
  ///   - uid, gid: who owns its root directory, as the sandbox sees them.
  func open(_ agent: String, size: Int, uid: Int, gid: Int) throws(WorkspaceError) -> Workspace {
    guard Self.isName(agent) else { throw .badName(agent) }
    let hold: Int? = held.withLock { held in
      if held.agents[agent] != nil { return nil }
      held.last += 1
      held.agents[agent] = held.last
      return held.last
    }
    guard let hold else { throw .inUse(agent: agent) }
    do throws(WorkspaceError) {
      let size = size / 4096 * 4096
      let mount = try mount(agent, size: size, uid: uid, gid: gid)
      return Workspace(agent: agent, image: path(agent), size: size, mount: mount, hold: hold)
    } catch {
      letGo(agent, hold)
      throw error
    }
  }

  private func letGo(_ agent: String, _ hold: Int) {
    held.withLock { if $0.agents[agent] == hold { $0.agents[agent] = nil } }
  }

  private func path(_ agent: String) -> String { "\(directory)/\(agent).ext4" }

  /// Lets go of a workspace once its sandbox is gone, and waits until it is stored and unmounted.
  func close(_ workspace: Workspace) throws(WorkspaceError) {
    defer { letGo(workspace.agent, workspace.hold) }
    workspace.mount.descriptor.close()
    let image: Descriptor
    do throws(LinuxError) {
      image = try Descriptor.open(workspace.image, O_RDWR | O_NOFOLLOW)
    } catch  where error.code == ENOENT {
      // Somebody moved it away; whoever comes next makes a new one and needn't wait for this.
      return
    } catch { throw .kernel(error) }
    if !Self.lock(image, patience: Self.patience) {
      throw .kernel(
        LinuxError(
          "unmount", workspace.image, code: EBUSY, advice: "something still holds it; the agent can't run until it ends"
        ))
    }
  }

  /// `^[a-z0-9-]{3,50}$`: an agent's id.
  static func isName(_ text: String) -> Bool {
    (3...50).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...122).contains($0) }
  }

  private static let unfinished = ".ext4.new"

  private func mount(_ agent: String, size: Int, uid: Int, gid: Int) throws(WorkspaceError) -> DetachedMount {
    let path = path(agent)
    let existing = try openImage(agent, path)
    let image = if let existing { existing } else { try make(agent, path, size: size, uid: uid, gid: gid) }
    try prepare(image, path, size: size)
    let mount: DetachedMount
    do throws(LinuxError) {
      try Faults.point("attach image")
      let device = try LoopDevice.attach(image, name: path, readOnly: false)
      try Faults.point("mount image")
      mount = try withExtendedLifetime(device) { () throws(LinuxError) in
        // Damage that is met later makes it read-only. Freed blocks go back to the host: the image stays sparse.
        return try DetachedMount.make(
          "ext4", source: device.path,
          options: [.init("errors", "remount-ro"), .init("discard"), .init("noinit_itable")],
          attributes: [.noSetuid, .noDevices], label: path)
      }
    } catch  where error.operation == "mount ext4" && [EINVAL, EUCLEAN, EBADMSG, EIO].contains(error.code) {
      throw .damaged(path: path, reason: "it can't be mounted: \(error)")
    } catch { throw .kernel(error) }
    try kernel { () throws(LinuxError) in try Self.settle(mount, path, uid: uid, gid: gid) }
    return mount
  }

  /// Opens and locks an image that is there.
  private func openImage(_ agent: String, _ path: String) throws(WorkspaceError) -> Descriptor? {
    let image: Descriptor
    let status: stat
    do throws(LinuxError) {
      image = try opened.openBelow("\(agent).ext4", O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      status = try image.status(path)
    } catch  where error.code == ENOENT { return nil } catch  where error.code == ELOOP {
      throw .untrusted(path: path, reason: "it is a symbolic link")
    } catch { throw .kernel(error) }
    if FileKind(mode: status.st_mode) != .file { throw .untrusted(path: path, reason: "it is no regular file") }
    if status.st_uid != geteuid() || status.st_mode & 0o022 != 0 || status.st_nlink != 1 {
      throw .untrusted(path: path, reason: "others may write it, or it has a second name")
    }
    // A sandbox that ended a moment ago may still be storing what it wrote.
    if !Self.lock(image, patience: Self.patience) { throw .inUse(agent: agent) }
    return image
  }

  /// Makes an image under another name first: what has the right name is whole.
  private func make(
    _ agent: String, _ path: String, size: Int, uid: Int, gid: Int
  ) throws(WorkspaceError) -> Descriptor {
    if size < Self.smallest {
      throw .kernel(LinuxError("make", path, code: ENOSPC, advice: "a workspace needs 'size' of at least 1M"))
    }
    let turn = try takeTurn()
    defer { withExtendedLifetime((turn, opened)) {} }
    let name = agent + Self.unfinished
    do throws(WorkspaceError) {
      try kernel { () throws(LinuxError) in try Faults.point("make image") }
      let image = try kernel { () throws(LinuxError) in try Descriptor.replacing("\(directory)/\(name)", mode: 0o600) }
      if !Self.lock(image) { throw .inUse(agent: agent) }
      if ftruncate(image.number, size) < 0 { throw .kernel(LinuxError.last("truncate", path)) }
      let answer = try kernel { () throws(LinuxError) in try Ext4Tools.make(image, uid: uid, gid: gid) }
      if answer.end != .exited(0) { throw .tool("mkfs.ext4", path: path, text: answer.text) }
      if fsync(image.number) < 0 { throw .kernel(LinuxError.last("fsync", path)) }
      if renameat(opened.number, name, opened.number, "\(agent).ext4") < 0 {
        throw .kernel(LinuxError.last("rename", path))
      }
      if fsync(opened.number) < 0 { throw .kernel(LinuxError.last("fsync", directory)) }
      return image
    } catch {
      unlinkat(opened.number, name, 0)
      throw error
    }
  }

  /// New images are made one at a time in a directory, whichever supervisor makes them: held as long as what it returns.
  private func takeTurn() throws(WorkspaceError) -> Descriptor {
    let turn = try kernel { () throws(LinuxError) in try Descriptor.open(directory, O_RDONLY | O_DIRECTORY) }
    if !Self.lock(turn, patience: Self.patience) {
      throw .kernel(
        LinuxError("flock", directory, code: EWOULDBLOCK, advice: "another supervisor makes a workspace here"))
    }
    return turn
  }

  /// Looks at a locked image and grows it where it may be larger now.
  private func prepare(_ image: Descriptor, _ path: String, size: Int) throws(WorkspaceError) {
    let status = try kernel { () throws(LinuxError) in try image.status(path) }
    let superblock = try kernel { () throws(LinuxError) in try Ext4Superblock.read(image, path) }
    switch try Self.decide(path, length: Int(status.st_size), superblock: superblock, wanted: size) {
    case .use: return
    case .grow:
      if Int(status.st_size) < size, ftruncate(image.number, size) < 0 {
        throw .kernel(LinuxError.last("truncate", path))
      }
      let checked = try kernel { () throws(LinuxError) in try Ext4Tools.check(image) }
      if checked.end != .exited(0) && checked.end != .exited(1) {
        throw .damaged(path: path, reason: "e2fsck, before it was to grow, said: \(checked.text)")
      }
      let grown = try kernel { () throws(LinuxError) in try Ext4Tools.grow(image) }
      if grown.end != .exited(0) { throw .tool("resize2fs", path: path, text: grown.text) }
    }
  }

  enum Decision: Sendable, Hashable { case use, grow }

  /// What to do with an image of this length. The file system may be smaller than its image where a supervisor was killed
  /// between making the one and the other longer.
  static func decide(
    _ path: String, length: Int, superblock: Ext4Superblock?, wanted: Int
  ) throws(WorkspaceError) -> Decision {
    guard let superblock else { throw .damaged(path: path, reason: "there is no ext4 file system in it") }
    if superblock.hasErrors { throw .damaged(path: path, reason: "ext4 has met errors in it") }
    if superblock.size > length { throw .damaged(path: path, reason: "its end is missing") }
    if length > wanted { throw .tooLarge(path: path, size: length, limit: wanted) }
    return superblock.size / 4096 < wanted / 4096 ? .grow : .use
  }

  /// Its root directory belongs to the agent, and holds nothing but what the agent put there: e2fsck makes lost+found when
  /// it needs one.
  private static func settle(_ mount: DetachedMount, _ path: String, uid: Int, gid: Int) throws(LinuxError) {
    let root = try mount.openRoot(path)
    defer { withExtendedLifetime(root) {} }
    let status = try root.status(path)
    if Int(status.st_uid) != uid || Int(status.st_gid) != gid, fchown(root.number, uid_t(uid), gid_t(gid)) < 0 {
      throw LinuxError.last("chown", path)
    }
    if status.st_mode & 0o7777 != 0o700, fchmod(root.number, 0o700) < 0 { throw LinuxError.last("chmod", path) }
    if let found = try? root.pathBelow("lost+found"), let status = try? found.status(path), status.st_uid == 0 {
      // With something in it stays: somebody may look for what a repair has put there.
      if unlinkat(root.number, "lost+found", AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != ENOTDIR {
        throw LinuxError.last("rmdir", "\(path): lost+found")
      }
    }
  }

  /// Locks an open image; tries until the time is up. There is no lock that waits with a time-out (flock(2)).
  private static func lock(_ image: Descriptor, patience: Duration = .zero) -> Bool {
    defer { withExtendedLifetime(image) {} }
    let deadline = ContinuousClock.now + patience
    while flock(image.number, LOCK_EX | LOCK_NB) < 0 {
      if errno != EWOULDBLOCK && errno != EINTR || ContinuousClock.now >= deadline { return false }
      usleep(1000)
    }
    return true
  }
}

/// One mounted workspace.
struct Workspace: Sendable {
  /// Whose it is.
  let agent: String
  /// The image's path.
  let image: String
  /// Limit, bytes.
  let size: Int
  /// Goes into the sandbox.
  let mount: DetachedMount
  /// The store's number of this use of it.
  let hold: Int

  /// Gives files to the sandbox's ids: on disk they have the ids that the agent sees, whatever range it has this time.
  /// Call before the mount is attached.
  func map(toUserNamespaceOf process: ProcessHandle) throws(WorkspaceError) {
    try kernel { () throws(LinuxError) in
      let users = try Descriptor.open("/proc/\(process.pid)/ns/user")
      // Found by number: it must still have been that process's then.
      if try waitReadable([process.descriptor], timeout: .zero)[0] {
        throw LinuxError("open", "user namespace of PID 1", code: ESRCH, advice: "it was killed")
      }
      try mount.map(to: users, label: image)
    }
  }

  /// Bytes and files in it now, and its limit, as receipts show them.
  func description(path: String?) -> JSONValue {
    let usage = try? mount.usage(image)
    return [
      "agent": .string(agent), "path": path.map { .string($0) } ?? .null, "limit_bytes": .integer(Int64(size)),
      "used_bytes": usage.map { .integer(Int64($0.usedBytes)) } ?? .null,
      "used_files": usage.map { .integer(Int64($0.usedFiles)) } ?? .null,
    ]
  }
}

/// The kernel's refusals among the store's.
private func kernel<Value>(_ body: () throws(LinuxError) -> Value) throws(WorkspaceError) -> Value {
  do throws(LinuxError) { return try body() } catch { throw .kernel(error) }
}
