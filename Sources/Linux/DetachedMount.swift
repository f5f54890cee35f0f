import CLinux
import Glibc

/// A mount that stands nowhere yet (fsmount(2), open_tree(2)): it can be looked into and changed through its descriptor, be
/// handed to another process, be attached there, and is gone with the last reference.
public struct DetachedMount: Sendable {
  /// What is held of it; an O_PATH descriptor of its root directory.
  public let descriptor: Descriptor

  /// MOUNT_ATTR_* of mount_setattr(2).
  public struct Attributes: OptionSet, Sendable, Hashable {
    /// The kernel's bits.
    public let rawValue: UInt64
    /// From the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// MOUNT_ATTR_RDONLY
    public static let readOnly = Attributes(rawValue: UInt64(CL_ATTR_RDONLY))
    /// MOUNT_ATTR_NOSUID: neither set-id bits nor file capabilities count.
    public static let noSetuid = Attributes(rawValue: UInt64(CL_ATTR_NOSUID))
    /// MOUNT_ATTR_NODEV: device nodes can't be opened.
    public static let noDevices = Attributes(rawValue: UInt64(CL_ATTR_NODEV))
    /// MOUNT_ATTR_NOEXEC
    public static let noExec = Attributes(rawValue: UInt64(CL_ATTR_NOEXEC))
  }

  /// A mount option: `size=64m`, or a word without a value.
  public struct Option: Sendable, Hashable {
    /// The file system's word.
    public var key: String
    /// Nil for a flag.
    public var value: String?
    /// Names an option.
    public init(_ key: String, _ value: String? = nil) { self.key = key; self.value = value }
  }

  /// Wraps what a call answered.
  public init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// Mounts a new instance of a file system.
  /// - Parameters:
  ///   - source: the block device; nil for a file system without one.
  ///   - label: what errors call it, where that isn't the source.
  /// - Throws: the errno, with the file system's own words as advice where it left some.
  public static func make(
    _ type: String, source: String? = nil, options: [Option] = [], attributes: Attributes, label: String? = nil
  ) throws(LinuxError) -> DetachedMount {
    let object = label ?? source ?? type
    let opened = cl_fsopen(type)
    if opened < 0 {
      throw LinuxError.last("fsopen \(type)", object, advice: errno == ENODEV ? "this kernel has no \(type)" : "")
    }
    let context = Descriptor(owning: opened)
    defer { withExtendedLifetime(context) {} }
    for option in (source.map { [Option("source", $0)] } ?? []) + options {
      if cl_fsconfig(context.number, option.key, option.value) < 0 {
        throw failure("fsconfig \(type) \(option.key)", object, context)
      }
    }
    if cl_fsconfig_create(context.number) < 0 { throw failure("mount \(type)", object, context) }
    let mount = cl_fsmount(context.number, attributes.rawValue)
    if mount < 0 { throw failure("fsmount \(type)", object, context) }
    return DetachedMount(Descriptor(owning: mount))
  }

  /// A copy of the mount at `path` below a directory (an empty path: of the directory's own), with all that is mounted
  /// below it where `recursive`. A symbolic link at its end is not followed.
  public static func copy(
    of path: String, in directory: Descriptor, recursive: Bool, attributes: Attributes, label: String? = nil
  ) throws(LinuxError) -> DetachedMount {
    let copied = withExtendedLifetime(directory) { cl_open_tree_at(directory.number, path, recursive ? 1 : 0) }
    let mount = DetachedMount(Descriptor(owning: try check(copied, "open_tree", label ?? path)))
    try mount.restrict(attributes, recursive: recursive, label: label ?? path)
    return mount
  }

  /// Adds attributes, to all that is mounted below it as well where `recursive`: unlike a bind mount's flags, which stop at
  /// the first mount below (mount_setattr(2)).
  public func restrict(_ attributes: Attributes, recursive: Bool, label: String) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    try check(cl_mount_setattr(descriptor.number, recursive ? 1 : 0, attributes.rawValue), "mount_setattr", label)
  }

  /// Shows files' owners as a user namespace maps them: who has id 1000 in that namespace owns what has id 1000 on the file
  /// system, whatever ids of the host stand behind the namespace. Possible once, and before the mount is attached.
  public func map(to userNamespace: Descriptor, label: String) throws(LinuxError) {
    defer { withExtendedLifetime((descriptor, userNamespace)) {} }
    let answer = cl_mount_map(descriptor.number, 0, userNamespace.number)
    if answer < 0 {
      let advice =
        errno == EINVAL ? "the file system can't be idmapped by this kernel, or the mount stands somewhere already" : ""
      throw LinuxError.last("mount_setattr MOUNT_ATTR_IDMAP", label, advice: advice)
    }
  }

  /// Attaches it at a directory or file of the calling thread's mount namespace: `path` below `directory`; an empty path is
  /// `directory` itself, whatever has its name by now.
  public func attach(at path: String, in directory: Descriptor) throws(LinuxError) {
    defer { withExtendedLifetime((descriptor, directory)) {} }
    try check(cl_move_mount_at(descriptor.number, directory.number, path), "move_mount", path.isEmpty ? "." : path)
  }

  /// Its root directory, open for reading.
  public func openRoot(_ label: String) throws(LinuxError) -> Descriptor {
    defer { withExtendedLifetime(descriptor) {} }
    return Descriptor(
      owning: try check(cl_openat(descriptor.number, ".", O_RDONLY | O_DIRECTORY, 0), "open root of", label))
  }

  /// Bytes that hold data, bytes in all (without the file system's own tables), and files in use.
  public func usage(_ label: String) throws(LinuxError) -> (usedBytes: Int, totalBytes: Int, usedFiles: Int) {
    defer { withExtendedLifetime(descriptor) {} }
    var status = statvfs()
    try check(fstatvfs(descriptor.number, &status), "fstatvfs", label)
    let block = Int(status.f_frsize)
    return (
      (Int(status.f_blocks) - Int(status.f_bfree)) * block, Int(status.f_blocks) * block,
      Int(status.f_files) - Int(status.f_ffree)
    )
  }

  /// The errno with what the file system said: lines such as `e ext4: Bad value for 'errors'` (fsopen(2)). Not every one
  /// speaks there; some only fill the kernel's log.
  private static func failure(_ operation: String, _ object: String, _ context: Descriptor) -> LinuxError {
    let code = errno
    var lines: [String] = []
    var buffer = [UInt8](repeating: 0, count: 1024)
    while lines.count < 16 {
      let count = read(context.number, &buffer, buffer.count)
      if count <= 0 { break }
      let line = String(decoding: buffer[..<count], as: UTF8.self)
      if line.hasPrefix("e ") { lines.append(String(line.dropFirst(2).prefix { $0 != "\n" })) }
    }
    return LinuxError(operation, object, code: code, advice: lines.joined(separator: "; "))
  }
}
