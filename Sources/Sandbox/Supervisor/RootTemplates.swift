import Glibc
import Linux
import Synchronization

/// The roots of the profiles in use, each laid out once.
///
/// A root holds copies of the host's mounts, so it is made anew where a host path of the profile has become another file or
/// a link to another place (a package manager replaces files by renaming). What is mounted below a path later shows after a
/// reload only.
final class RootTemplates: Sendable {
  private struct Entry: Sendable {
    var digest: String
    var stamps: [Stamp]
    var template: RootTemplate
  }
  /// Tells whether a path still is what it was.
  private struct Stamp: Sendable, Hashable {
    var device: UInt64
    var inode: UInt64
    /// Of a link: its target may have changed in place of its inode's number. Of others it doesn't matter.
    var changed: Int
  }
  private let initProgram: Descriptor
  private let loopProgram: String?
  private let entries = Mutex<[String: Entry]>([:])

  init(initProgram: Descriptor, loopProgram: String? = nil) {
    self.initProgram = initProgram
    self.loopProgram = loopProgram
  }

  /// The root of a profile; made now where it isn't there or isn't true any more.
  func template(_ entry: Catalogue.Entry) throws(LinuxError) -> RootTemplate {
    let stamps = (entry.profile.hostPaths + [loopProgram].compactMap { $0 }).map(Self.stamp)
    let name = entry.profile.name
    let existing = entries.withLock { $0[name] }
    if let existing, existing.digest == entry.digest, existing.stamps == stamps { return existing.template }
    // Two who come at once both make one, and the second stays: nobody waits for another's mounts.
    try Faults.point("lay out root")
    let template = try RootTemplate.make(
      profile: entry.profile, initProgram: initProgram, loop: loopProgram, present: pathKind)
    entries.withLock { $0[name] = Entry(digest: entry.digest, stamps: stamps, template: template) }
    return template
  }

  /// Forgets what was made; running sandboxes keep theirs.
  func reload() { entries.withLock { $0 = [:] } }

  private static func stamp(_ path: String) -> Stamp {
    var status = stat()
    if lstat(path, &status) < 0 { return Stamp(device: 0, inode: 0, changed: 0) }
    let isLink = status.st_mode & S_IFMT == S_IFLNK
    return Stamp(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), changed: isLink ? status.st_ctim.tv_sec : 0)
  }
}
