import CInit
import CPlan

private let recursive = 0x8000  // AT_RECURSIVE
private let readOnlyAttributes: UInt64 = 1 | 2 | 4  // MOUNT_ATTR_RDONLY | NOSUID | NODEV
let readOnlyFlags = 1 | 2 | 4 | 8  // MS_RDONLY | NOSUID | NODEV | NOEXEC

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

func setAttributes(_ directory: Int, _ path: Int, flags: Int, set: UInt64) -> Int {
  var attributes = mount_attr(attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0)
  return withUnsafePointer(to: &attributes) { attributes in
    call(NR_mount_setattr.number, directory, path, flags, address(attributes), MemoryLayout<mount_attr>.size)
  }
}

/// Makes a path read-only, with everything mounted below it: bound onto itself, so that the change is that mount's alone.
/// Nothing else runs in this namespace yet, so nobody can put another thing in its place meanwhile.
func makeReadOnly(_ path: Int) -> Int {
  let answer = call(NR_mount.number, path, path, 0, 0x1000 | 0x4000 /* MS_BIND | MS_REC */, 0)
  return answer < 0
    ? answer : setAttributes(currentDirectory, path, flags: recursive, set: readOnlyAttributes)
}
