import CLinux
import Glibc

// What root does in directories in which others may write. Every step starts from an open directory and follows no
// symbolic link, so that whoever puts one there while we work gains nothing.

/// Makes a directory, or takes one that is there, and gives it owner and mode.
/// - Parameter followsLink: whether the last part of the path may be a symbolic link: only where nobody but root could
///   have made it.
/// - Throws: ENOTDIR or ELOOP where something else, or a link, is in its place.
public func makeDirectory(
  _ path: String, owner: (uid: uid_t, gid: gid_t), mode: mode_t, followsLink: Bool = false
) throws(LinuxError) {
  if mkdir(path, 0o700) < 0 && errno != EEXIST { throw LinuxError.last("mkdir", path) }
  let directory: Descriptor
  do throws(LinuxError) {
    directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY | (followsLink ? 0 : O_NOFOLLOW))
  } catch {
    throw LinuxError(
      error.operation, path, code: error.code, advice: "something that is no directory of ours is in its place; move it"
    )
  }
  try withExtendedLifetime(directory) { () throws(LinuxError) in
    try check(fchown(directory.number, owner.uid, owner.gid), "chown", path)
    // After the owner: a change of owner takes away some bits (chown(2)).
    try check(fchmod(directory.number, mode), "chmod", path)
  }
}

/// Removes a directory with all that is in it; one that isn't there is fine. Whatever can't be removed is left, and the
/// first reason is thrown at the end. Links are removed, not followed; a tree deeper than 64 is not ours.
public func removeTree(_ path: String) throws(LinuxError) {
  let directory: Descriptor
  do throws(LinuxError) {
    directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  } catch  where error.code == ENOENT { return }
  var failure = try removeEntries(of: directory, path, depth: 64)
  if rmdir(path) < 0 && errno != ENOENT && failure == nil { failure = LinuxError.last("rmdir", path) }
  if let failure { throw failure }
}

/// Empties an open directory; the first thing that could not be removed.
private func removeEntries(of directory: Descriptor, _ path: String, depth: Int) throws(LinuxError) -> LinuxError? {
  if depth == 0 { return LinuxError("remove", path, code: ELOOP, advice: "remove it by hand") }
  var failure: LinuxError?
  for name in try names(in: directory, path) {
    let child = "\(path)/\(name)"
    let error = withExtendedLifetime(directory) { () -> LinuxError? in
      if unlinkat(directory.number, name, 0) == 0 || errno == ENOENT { return nil }
      // Linux answers EISDIR where POSIX has EPERM (unlink(2)).
      if errno != EISDIR { return LinuxError.last("unlink", child) }
      let inner = cl_openat(directory.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
      if inner < 0 { return errno == ENOENT ? nil : LinuxError.last("open", child) }
      var failure: LinuxError?
      do throws(LinuxError) {
        failure = try removeEntries(of: Descriptor(owning: inner), child, depth: depth - 1)
      } catch { failure = error }
      if unlinkat(directory.number, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return failure }
      return failure ?? LinuxError.last("rmdir", child)
    }
    failure = failure ?? error
  }
  return failure
}

/// Everything in a directory but itself and its parent.
private func names(in directory: Descriptor, _ path: String) throws(LinuxError) -> [String] {
  // closedir(3) closes what it was given, so it gets a descriptor of its own.
  let copy = withExtendedLifetime(directory) { cl_openat(directory.number, ".", O_RDONLY | O_DIRECTORY, 0) }
  try check(copy, "open", path)
  guard let stream = fdopendir(copy) else {
    let error = LinuxError.last("fdopendir", path)
    close(copy)
    throw error
  }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = entryName(entry)
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}
