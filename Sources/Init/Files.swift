import CInit
import CPlan

let msRecursive: UInt = 0x4000
let msPrivate: UInt = 0x40000
private let emptyPath = 0x1000  // AT_EMPTY_PATH
private let recursive = 0x8000  // AT_RECURSIVE
private let readOnlyAttributes: UInt64 = 1 | 2 | 4  // MOUNT_ATTR_RDONLY | NOSUID | NODEV
private let readOnlyFlags = 1 | 2 | 4 | 8  // MS_RDONLY | NOSUID | NODEV | NOEXEC

func length(_ text: Int) -> Int {
  guard let base = UnsafePointer<UInt8>(bitPattern: text) else { return 0 }
  var count = 0
  while base[count] != 0 { count += 1 }
  return count
}

/// Attaches a detached mount that the supervisor made (it may mount what a user namespace may not).
func attach(tree: Int, at path: Int) -> Int {
  let answer = call(NR_move_mount.number, tree, text(""), currentDirectory, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */)
  _ = call(NR_close.number, tree)
  return answer
}

func makeDirectory(_ path: Int, mode: Int) -> Int {
  let answer = call(NR_mkdirat.number, currentDirectory, path, mode)
  // Modes are the plan's word, not the umask's.
  return answer < 0 ? answer : call(NR_fchmodat.number, currentDirectory, path, mode)
}

/// Makes a new file (never follows or replaces an old one) and fills it.
func makeFile(_ path: Int, mode: Int, fill: (Int) -> Int) -> Int {
  // O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW
  let file = call(NR_openat.number, currentDirectory, path, 0o1 | 0o100 | 0o200 | 0o400000 | closeOnExec, 0o600)
  if file < 0 { return file }
  var answer = fill(file)
  if answer >= 0 { answer = call(NR_fchmod.number, file, mode) }
  _ = call(NR_close.number, file)
  return answer
}

func writeAll(to file: Int, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
  var written = 0
  while written < count {
    let answer = retrying { call(NR_write.number, file, address(bytes + written), count - written) }
    if answer < 0 { return answer }
    written += answer
  }
  return 0
}

func copy(from source: Int, to file: Int) -> Int {
  _ = call(NR_lseek.number, source, 0, 0)
  while true {
    let answer = retrying { call(NR_sendfile.number, file, source, 0, 1 << 20) }
    if answer <= 0 { return answer }
  }
}

/// The old root is stacked under the new one and then let go, so no directory has to hold it (pivot_root(2), notes).
func pivotRoot(to path: Int) -> Int {
  var answer = call(NR_chdir.number, path)
  if answer >= 0 { answer = call(NR_pivot_root.number, text("."), text(".")) }
  if answer >= 0 { answer = call(NR_umount2.number, text("."), 2 /* MNT_DETACH */) }
  if answer >= 0 { answer = call(NR_chdir.number, text("/")) }
  return answer
}

func setAttributes(_ directory: Int, _ path: Int, flags: Int, set: UInt64) -> Int {
  var attributes = mount_attr(attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0)
  return withUnsafePointer(to: &attributes) { attributes in
    call(NR_mount_setattr.number, directory, path, flags, address(attributes), MemoryLayout<mount_attr>.size)
  }
}

/// Hides a path of /proc. Nothing else runs in this tree yet, so the inode that is looked at is the one that is hidden.
func mask(_ path: Int) -> Int {
  // O_PATH|O_NOFOLLOW
  let target = call(NR_openat.number, currentDirectory, path, 0o10000000 | 0o400000 | closeOnExec)
  if target == -Int(ENOENT) { return 0 }
  if target < 0 { return target }
  let mode = init_file_mode(Int32(target))
  _ = call(NR_close.number, target)
  if mode < 0 { return mode }
  if mode & 0o170000 == 0o040000 {
    return call(NR_mount.number, text("tmpfs"), path, text("tmpfs"), readOnlyFlags, text("size=0,nr_inodes=2"))
  }
  let null = call(NR_open_tree.number, currentDirectory, text("/dev/null"), 1 | closeOnExec)
  if null < 0 { return null }
  let nullMode = init_file_mode(Int32(null))
  // CVE-2025-31133: a "/dev/null" that is something else would show what should be hidden.
  if nullMode & 0o170000 != 0o020000 { return -Int(ENODEV) }
  return attach(tree: null, at: path)
}

/// Makes a path that is there read-only, with everything mounted below it.
func makeReadOnly(_ path: Int) -> Int {
  let tree = call(NR_open_tree.number, currentDirectory, path, 1 | recursive | closeOnExec)
  if tree == -Int(ENOENT) { return 0 }
  if tree < 0 { return tree }
  let answer = setAttributes(tree, text(""), flags: emptyPath | recursive, set: readOnlyAttributes)
  if answer < 0 { return answer }
  return attach(tree: tree, at: path)
}
