import CLinux
import Glibc
import Linux
import Synchronization

/// User ids that belong to sandboxes: 16 blocks of 1,000 ranges of 65,536 ids, from 1,000,000,000 on.
///
/// One supervisor holds one block, by binding a name in the abstract namespace of the network namespace in which it was
/// started: the kernel gives it back however the supervisor ends. systemd's ranges (524,288…1,879,048,191 for
/// nspawn) overlap only where an administrator put containers there by hand.
final class UserRanges: Sendable {
  /// Ids in one sandbox.
  static let size = 65536
  private static let perBlock = 1000
  private let holder: Descriptor
  private let first: Int
  private let free: Mutex<[Int]>

  /// Takes a block. Call before the process leaves the host's network namespace.
  init() throws(LinuxError) {
    for block in 0..<16 {
      let socket = Descriptor(owning: cl_unix_socket(Int32(SOCK_STREAM.rawValue)))
      if cl_bind_abstract(socket.number, "botburrow-user-block-\(block)") == 0 {
        holder = socket
        first = 1_000_000_000 + block * Self.perBlock * Self.size
        free = Mutex(Array((0..<Self.perBlock).reversed()))
        return
      }
    }
    throw LinuxError("bind", "@botburrow-user-block-0…15", code: EADDRINUSE, advice: "16 supervisors run here already")
  }

  /// A range that no living sandbox has: its number for `give back` and its first id. Nil when all are taken.
  func take() -> (slot: Int, firstID: Int)? {
    free.withLock { $0.popLast() }.map { ($0, first + $0 * Self.size) }
  }

  /// The range is nobody's again: call when no process has its ids any more.
  func giveBack(_ slot: Int) { free.withLock { $0.append(slot) } }
}
