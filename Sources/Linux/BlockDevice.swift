import Glibc

/// A disk by its numbers, as `io.max` names it (cgroups(7)).
public struct BlockDevice: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The driver's number.
  public var major: Int
  /// The disk's number there.
  public var minor: Int
  /// Names a disk.
  public init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }
  /// Takes glibc's dev_t apart (makedev(3); its macros are none that Swift can import).
  init(_ device: dev_t) {
    major = Int((device >> 8) & 0xfff | (device >> 32) & 0xffff_f000)
    minor = Int(device & 0xff | (device >> 12) & 0xffff_ff00)
  }
  /// `8:0`
  public var description: String { "\(major):\(minor)" }
  /// By number.
  public static func < (left: BlockDevice, right: BlockDevice) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }

  /// The whole disks that the file systems of these paths are on, each once. A path that doesn't exist and a file system
  /// without a disk (tmpfs, overlay, network) have none.
  public static func behind(_ paths: [String]) -> [BlockDevice] {
    var found: Set<BlockDevice> = []
    for path in paths {
      var status = stat()
      guard stat(path, &status) == 0 else { continue }
      if let disk = wholeDisk(of: BlockDevice(status.st_dev)) { found.insert(disk) }
    }
    return found.sorted()
  }

  /// The kernel limits disks only, not their partitions; a partition's directory lies in its disk's.
  private static func wholeDisk(of device: BlockDevice) -> BlockDevice? {
    let directory = "/sys/dev/block/\(device)"
    guard access(directory, F_OK) == 0 else { return nil }
    if access(directory + "/partition", F_OK) != 0 { return device }
    guard let numbers = (try? readFile(directory + "/../dev"))?.split(whereSeparator: { $0 == ":" || $0 == "\n" }),
      numbers.count == 2, let major = Int(numbers[0]), let minor = Int(numbers[1])
    else { return nil }
    return BlockDevice(major: major, minor: minor)
  }
}
