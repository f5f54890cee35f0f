import CInit
import CPlan

/// Supplementary groups go first: later there is no right to drop them.
func setIdentity(user: Int, group: Int) -> Int {
  var answer = call(NR_setgroups.number, 0, 0)
  if answer >= 0 { answer = call(NR_setresgid.number, group, group, group) }
  if answer >= 0 { answer = call(NR_setresuid.number, user, user, user) }
  return answer
}

func setLimit(_ resource: Int, soft: Int, hard: Int) -> Int {
  var limits = (UInt64(truncatingIfNeeded: soft), UInt64(truncatingIfNeeded: hard))
  return withUnsafeBytes(of: &limits) { bytes in
    call(NR_prlimit64.number, 0, resource, address(bytes.baseAddress), 0)
  }
}

/// Up to the kernel's last capability, which may be newer than our headers: the first unknown one is EINVAL.
func dropBoundingSet() -> Int {
  var capability = 0
  while capability < 64 {
    let answer = call(NR_prctl.number, Int(PR_CAPBSET_DROP), capability)
    if answer == -Int(EINVAL) { return 0 }
    if answer < 0 { return answer }
    capability += 1
  }
  return 0
}

/// Empties the sets that a process may change, and reads three of them back: what the kernel says counts, not what was
/// asked for. All five are read by the supervisor before the program may run (`LiveSandbox.inspect`).
func dropCapabilities() -> Int {
  // PR_CAP_AMBIENT_CLEAR_ALL
  var answer = call(NR_prctl.number, Int(PR_CAP_AMBIENT), 4, 0, 0, 0)
  if answer < 0 { return answer }
  var header = __user_cap_header_struct(version: UInt32(INIT_CAPABILITY_VERSION.number), pid: 0)
  // Two elements of effective, permitted, inheritable.
  var sets: (UInt64, UInt64, UInt64) = (0, 0, 0)
  answer = withUnsafeMutableBytes(of: &sets) { sets in
    withUnsafeMutablePointer(to: &header) { header in
      let set = call(NR_capset.number, address(header), address(sets.baseAddress))
      return set < 0 ? set : call(NR_capget.number, address(header), address(sets.baseAddress))
    }
  }
  if answer < 0 { return answer }
  return sets.0 | sets.1 | sets.2 == 0 ? 0 : -Int(EPERM)
}

/// SECCOMP_SET_MODE_FILTER with a program that the supervisor compiled.
func installFilter(_ instructions: UnsafeMutableRawPointer, bytes: Int) -> Int {
  var program = sock_fprog(
    len: UInt16(truncatingIfNeeded: bytes / MemoryLayout<sock_filter>.size),
    filter: instructions.assumingMemoryBound(to: sock_filter.self))
  return withUnsafePointer(to: &program) { program in
    call(NR_seccomp.number, Int(SECCOMP_SET_MODE_FILTER), 0, address(program))
  }
}
