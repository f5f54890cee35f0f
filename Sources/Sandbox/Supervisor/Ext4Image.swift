import Glibc
import Linux

/// What an ext4 file system says of itself before anybody mounts it. The offsets are those of struct ext4_super_block
/// (https://docs.kernel.org/filesystems/ext4/super.html).
struct Ext4Superblock: Sendable, Hashable {
  /// Bytes of the file system, whole blocks.
  var size: Int
  /// Bytes of a block.
  var blockSize: Int
  /// The driver or a checker met damage and nobody has repaired it (EXT4_ERROR_FS).
  var hasErrors: Bool

  /// Where it begins in the image, and how much of it is looked at.
  static let offset = 1024
  static let length = 1024

  /// Reads its bytes; nil for anything but ext4.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.length else { return nil }
    func number(_ offset: Int, _ count: Int) -> Int {
      (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    let logarithm = number(0x18, 4)
    guard number(0x38, 2) == 0xEF53, logarithm <= 6 else { return nil }
    blockSize = 1024 << logarithm
    let has64Bits = number(0x60, 4) & 0x80 != 0
    let blocks = number(0x4, 4) | (has64Bits ? number(0x150, 4) << 32 : 0)
    guard blocks < 1 << 46 else { return nil }
    size = blocks * blockSize
    hasErrors = number(0x3A, 2) & 2 != 0
  }

  /// Of an open image.
  static func read(_ image: Descriptor, _ path: String) throws(LinuxError) -> Ext4Superblock? {
    var bytes = [UInt8](repeating: 0, count: length)
    let count = withExtendedLifetime(image) { pread(image.number, &bytes, bytes.count, off_t(offset)) }
    if count < 0 { throw LinuxError.last("read", path) }
    return count == length ? Ext4Superblock(bytes) : nil
  }
}

/// The programs of e2fsprogs, each run on an open image that is their descriptor 3: when a workspace is made and when it
/// grows, never in an activation besides.
enum Ext4Tools {
  /// How one ended and what it said.
  struct Answer: Sendable {
    var end: ProcessEnd?
    var text: String
  }
  private static let image = "/proc/self/fd/3"

  /// Makes a file system in all of the image.
  ///
  /// It has a journal: the workspace must survive a power cut, and who waits for e2fsck after one doesn't answer. No block
  /// is reserved for root, who stores nothing. The inode tables of a new sparse file are zero already, so nobody writes
  /// zeros into them (`noinit_itable` at the mount is the other half).
  static func make(_ descriptor: Descriptor, uid: Int, gid: Int) throws(LinuxError) -> Answer {
    let options = "root_owner=\(uid):\(gid),lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    return try run("mkfs.ext4", ["-q", "-F", "-m", "0", "-b", "4096", "-E", options, image], descriptor)
  }

  /// Checks, and repairs what can be repaired without a question. 0: clean, 1: repaired (e2fsck(8)).
  static func check(_ descriptor: Descriptor) throws(LinuxError) -> Answer {
    try run("e2fsck", ["-f", "-p", image], descriptor)
  }

  /// Grows the file system to the image's size; it wants to see a fresh check first.
  static func grow(_ descriptor: Descriptor) throws(LinuxError) -> Answer { try run("resize2fs", [image], descriptor) }

  private static func run(_ name: String, _ arguments: [String], _ image: Descriptor) throws(LinuxError) -> Answer {
    let places = ["/usr/sbin/\(name)", "/sbin/\(name)"]
    guard let program = places.first(where: { access($0, X_OK) == 0 }) else {
      throw LinuxError("find", name, code: ENOENT, advice: "install e2fsprogs")
    }
    let nothing = try Descriptor.open("/dev/null", O_RDWR)
    let (output, end) = try makePipe()
    let child = try ProcessHandle(
      child: try spawn(
        program, [name] + arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
        descriptors: [nothing, end, end, image]))
    end.close()
    let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    return Answer(end: try child.wait(), text: text.split(separator: "\n").joined(separator: "; "))
  }
}
