import Glibc

/// What a program did with a path.
public struct PathUses: OptionSet, Sendable, Hashable {
  /// The bits, for `OptionSet`.
  public let rawValue: UInt8
  /// From bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Asked whether it is there and what it is like.
  public static let looked = PathUses(rawValue: 1)
  /// Opened to read; a directory also to list.
  public static let read = PathUses(rawValue: 2)
  /// Run, or named by what is run as its interpreter.
  public static let executed = PathUses(rawValue: 4)
  /// Made, changed, renamed or removed.
  public static let written = PathUses(rawValue: 8)
}

/// A path among the arguments of a system call.
struct PathArgument: Sendable {
  /// Which argument is the directory that a relative path starts from; nil: the working directory.
  var directory: Int?
  /// Which argument points to the text.
  var path: Int
  /// Where the flags are that say more.
  var flags: Int?
  var kind: Kind

  enum Kind: Sendable {
    case look, lookAtLink, execute, write, writeLink
    /// The flags are open(2)'s.
    case open
    /// The flags are in the `struct open_how` that this argument points to.
    case open2
  }

  init(_ kind: Kind, _ path: Int, from directory: Int? = nil, flags: Int? = nil) {
    (self.kind, self.path, self.directory, self.flags) = (kind, path, directory, flags)
  }

  /// What is done with the path, and whether a symbolic link at its end is followed.
  func uses(flags: UInt64) -> (uses: PathUses, follows: Bool) {
    // AT_SYMLINK_NOFOLLOW of the *at calls.
    let follows = flags & 0x100 == 0
    switch kind {
    case .look: return (.looked, follows)
    case .lookAtLink: return (.looked, false)
    case .execute: return (.executed, follows)
    case .write: return (.written, follows)
    case .writeLink: return (.written, false)
    case .open, .open2:
      let flags = Int32(truncatingIfNeeded: flags)
      if flags & 0o10000000 /* O_PATH */ != 0 { return (.looked, flags & O_NOFOLLOW == 0) }
      var uses: PathUses = flags & O_ACCMODE == O_WRONLY ? [] : .read
      if flags & O_ACCMODE != O_RDONLY || flags & (O_CREAT | O_TRUNC) != 0 { uses.insert(.written) }
      return (uses, flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL)
    }
  }

  /// The calls that name files, by their man pages.
  static let ofCall: [String: [PathArgument]] = [
    "open": [.init(.open, 0, flags: 1)],
    "creat": [.init(.write, 0)],
    "openat": [.init(.open, 1, from: 0, flags: 2)],
    "openat2": [.init(.open2, 1, from: 0, flags: 2)],
    "execve": [.init(.execute, 0)],
    "execveat": [.init(.execute, 1, from: 0, flags: 4)],
    "stat": [.init(.look, 0)],
    "lstat": [.init(.lookAtLink, 0)],
    "newfstatat": [.init(.look, 1, from: 0, flags: 3)],
    "statx": [.init(.look, 1, from: 0, flags: 2)],
    "access": [.init(.look, 0)],
    "faccessat": [.init(.look, 1, from: 0)],
    "faccessat2": [.init(.look, 1, from: 0, flags: 3)],
    "readlink": [.init(.lookAtLink, 0)],
    "readlinkat": [.init(.lookAtLink, 1, from: 0)],
    "statfs": [.init(.look, 0)],
    "getxattr": [.init(.look, 0)],
    "lgetxattr": [.init(.lookAtLink, 0)],
    "listxattr": [.init(.look, 0)],
    "llistxattr": [.init(.lookAtLink, 0)],
    "chdir": [.init(.look, 0)],
    "inotify_add_watch": [.init(.look, 1)],
    "mkdir": [.init(.writeLink, 0)],
    "mkdirat": [.init(.writeLink, 1, from: 0)],
    "rmdir": [.init(.writeLink, 0)],
    "unlink": [.init(.writeLink, 0)],
    "unlinkat": [.init(.writeLink, 1, from: 0)],
    "rename": [.init(.writeLink, 0), .init(.writeLink, 1)],
    "renameat": [.init(.writeLink, 1, from: 0), .init(.writeLink, 3, from: 2)],
    "renameat2": [.init(.writeLink, 1, from: 0), .init(.writeLink, 3, from: 2)],
    "link": [.init(.lookAtLink, 0), .init(.writeLink, 1)],
    "linkat": [.init(.lookAtLink, 1, from: 0), .init(.writeLink, 3, from: 2)],
    // The first is the link's content, not a path to go.
    "symlink": [.init(.writeLink, 1)],
    "symlinkat": [.init(.writeLink, 2, from: 1)],
    "mknod": [.init(.writeLink, 0)],
    "mknodat": [.init(.writeLink, 1, from: 0)],
    "truncate": [.init(.write, 0)],
    "chmod": [.init(.write, 0)],
    "fchmodat": [.init(.write, 1, from: 0)],
    "chown": [.init(.write, 0)],
    "lchown": [.init(.writeLink, 0)],
    "fchownat": [.init(.write, 1, from: 0, flags: 4)],
    "utime": [.init(.write, 0)],
    "utimes": [.init(.write, 0)],
    "futimesat": [.init(.write, 1, from: 0)],
    "utimensat": [.init(.write, 1, from: 0, flags: 3)],
    "setxattr": [.init(.write, 0)],
    "lsetxattr": [.init(.writeLink, 0)],
    "removexattr": [.init(.write, 0)],
    "lremovexattr": [.init(.writeLink, 0)],
  ]
}
