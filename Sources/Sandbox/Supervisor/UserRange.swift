import CLinux
import Glibc
import Linux
import Synchronization

/// User ids that belong to sandboxes: 64 blocks of 250 ranges of 65,536 ids, from 1,000,000,000 on.
///
/// A supervisor holds a block by binding a name in the abstract namespace of the network namespace in which it was started:
/// the kernel gives it back however the supervisor ends. It begins with one, and takes more while it needs them, up to 1,000
/// ranges. systemd's ranges (524,288…1,879,048,191 for nspawn) overlap only where an administrator put containers there by
/// hand.
final class UserRanges: Sendable {
  /// Ids in one sandbox.
  static let size = 65536
  private static let perBlock = 250
  private static let blockCount = 64
  private static let mostBlocks = 4

  private struct State: Sendable {
    var holders: [Descriptor] = []
    /// Sockets of the host's network namespace that have no name yet: later there is no way back there to make one.
    var spare: [Descriptor] = []
    var free: [Int] = []

    /// Takes the next block that nobody holds; false where there is none, or this supervisor has its share.
    mutating func grow() -> Bool {
      guard let socket = spare.last else { return false }
      for block in 0..<UserRanges.blockCount {
        let answer = withExtendedLifetime(socket) { cl_bind_abstract(socket.number, "botburrow-user-block-\(block)") }
        if answer != 0 { continue }
        holders.append(spare.removeLast())
        free += (0..<UserRanges.perBlock).reversed().map { block * UserRanges.perBlock + $0 }
        return true
      }
      return false
    }
  }
  private let state: Mutex<State>

  /// Takes a block. Call before the process leaves the host's network namespace.
  init() throws(LinuxError) {
    try Faults.point("hold user block")
    var state = State()
    for _ in 0..<Self.mostBlocks {
      let socket = try check(cl_unix_socket(Int32(SOCK_STREAM.rawValue)), "socket", "AF_UNIX")
      state.spare.append(Descriptor(owning: socket))
    }
    if !state.grow() {
      throw LinuxError(
        "bind", "@botburrow-user-block-0…\(Self.blockCount - 1)", code: EADDRINUSE,
        advice: "other supervisors on this host hold all user ids; end some of them")
    }
    self.state = Mutex(state)
  }

  /// A range that no living sandbox has: its number for `give back` and its first id. Nil when all are taken.
  func take() -> (slot: Int, firstID: Int)? {
    state.withLock { state in
      if state.free.isEmpty && !state.grow() { return nil }
      return state.free.popLast().map { ($0, 1_000_000_000 + $0 * Self.size) }
    }
  }

  /// The range is nobody's again: call when no process has its ids any more.
  func giveBack(_ slot: Int) { state.withLock { $0.free.append(slot) } }
}
