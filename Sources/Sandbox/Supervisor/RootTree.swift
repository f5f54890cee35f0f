import CLinux
import Glibc
import Linux

/// The tree that a profile's `root` names, opened: a detached mount of which the parts of a root are copied. Read-only,
/// without setuid and devices, down to every mount below it.
struct RootTree: Sendable {
  let mount: DetachedMount
  let label: String

  static let attributes: DetachedMount.Attributes = [.readOnly, .noSetuid, .noDevices]

  /// Opens it; nil for a root that is made of the host's paths alone.
  static func open(_ root: Profile.Root) throws(LinuxError) -> RootTree? {
    switch root {
    case .scratch: nil
    case .directory(let path): try openDirectory(path)
    case .image(let path): try openImage(path)
    }
  }

  private static func openDirectory(_ path: String) throws(LinuxError) -> RootTree {
    let directory = try Descriptor.open(path, Int32(CL_PATH) | O_DIRECTORY | O_NOFOLLOW)
    try checkOwner(try directory.status(path), path)
    return RootTree(
      mount: try DetachedMount.copy(of: "", in: directory, recursive: true, attributes: attributes, label: path),
      label: path)
  }

  /// Mounts an image for as long as somebody has the root. The kernel's driver reads what whoever made the image wrote into
  /// it, byte by byte: so it must be root's.
  private static func openImage(_ path: String) throws(LinuxError) -> RootTree {
    // A pipe in its place is no reason to wait for a writer.
    let image = try Descriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    let status = try image.status(path)
    if FileKind(mode: status.st_mode) != .file {
      throw LinuxError("open image", path, code: EINVAL, advice: "'root.image' must be a regular file")
    }
    try checkOwner(status, path)
    var beginning = [UInt8](repeating: 0, count: 1028)
    let count = withExtendedLifetime(image) { pread(image.number, &beginning, beginning.count, 0) }
    guard count == beginning.count, let type = ImageType(beginning: beginning) else {
      throw LinuxError("open image", path, code: EINVAL, advice: "it is neither squashfs nor erofs")
    }
    let device = try LoopDevice.attach(image, name: path, readOnly: true)
    return try withExtendedLifetime(device) { () throws(LinuxError) in
      RootTree(
        // "ro" besides: a file system that would write is refused on a read-only device.
        mount: try DetachedMount.make(
          type.rawValue, source: device.path, options: [.init("ro")], attributes: attributes, label: path),
        label: path)
    }
  }

  private static func checkOwner(_ status: stat, _ path: String) throws(LinuxError) {
    if status.st_uid != geteuid() || status.st_mode & 0o022 != 0 {
      throw LinuxError(
        "open root", path, code: EPERM,
        advice: "others may change it; give it to root alone: chown root \(path); chmod go-w \(path)")
    }
  }

  /// Reads it for the plan. Nothing in it is followed.
  var source: RootSource {
    let mount = mount
    let label = label
    return RootSource(
      label: label,
      entries: { path throws(LinuxError) in
        let directory = try mount.descriptor.openBelow(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        var entries: [(String, RootSource.Entry)] = []
        for name in try directory.names("\(label): \(path)", limit: 4096) {
          entries.append((name, try Self.entry(try directory.pathBelow(name), "\(label): \(path)/\(name)")))
        }
        return entries
      },
      content: { path, limit throws(LinuxError) in
        let file = try mount.descriptor.openBelow(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        return try file.readAll(limit: limit)
      })
  }

  private static func entry(_ file: Descriptor, _ label: String) throws(LinuxError) -> RootSource.Entry {
    let mode = try file.status(label).st_mode
    return switch FileKind(mode: mode) {
    case .directory: .directory(mode: Int(mode & 0o7777))
    case .file: .file(mode: Int(mode & 0o7777))
    case .symlink: .symlink(target: try file.linkTarget(label))
    case .other: .other
    }
  }
}

extension Profile {
  /// Paths of the host that a root is made of.
  var hostPaths: [String] {
    let tree: [String] =
      switch root {
      case .scratch: []
      case .directory(let path), .image(let path): [path]
      }
    return readOnly.map(\.path) + tree
  }
}

/// File systems that images may have.
enum ImageType: String, Sendable, Hashable, CaseIterable {
  case squashfs, erofs

  /// By the number that stands in each one's superblock: at 0, "hsqs"
  /// (https://docs.kernel.org/filesystems/squashfs.html); at 1024, EROFS_SUPER_MAGIC_V1 (linux/magic.h).
  init?(beginning bytes: [UInt8]) {
    func number(at offset: Int) -> UInt32 {
      bytes.count < offset + 4 ? 0 : (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * $1) }
    }
    if number(at: 0) == 0x7371_7368 {
      self = .squashfs
    } else if number(at: 1024) == 0xE0F5_E1E2 {
      self = .erofs
    } else {
      return nil
    }
  }
}
