import CCap
import CLinux
import Glibc

/// Capabilities of this process, through libcap(3).
public enum Capabilities {
  /// Keeps only these (libcap's names, `cap_sys_admin`) in every set, the bounding set included.
  public static func keep(only names: [String]) throws(LinuxError) {
    var kept: [cap_value_t] = []
    for name in names {
      var value: cap_value_t = 0
      try check(cap_from_name(name, &value), "cap_from_name", name)
      kept.append(value)
    }
    // The bounding set first: dropping from it needs CAP_SETPCAP, which goes with the rest. Numerically up to the
    // kernel's last, which may be newer than libcap's headers.
    var capability: cap_value_t = 0
    while cap_get_bound(capability) >= 0 {
      if !kept.contains(capability), cap_get_bound(capability) > 0 {
        try check(cap_drop_bound(capability), "cap_drop_bound", "\(capability)")
      }
      capability += 1
    }
    guard let sets = cap_init() else { throw LinuxError.last("cap_init", "") }
    defer { cap_free(UnsafeMutableRawPointer(sets)) }
    if !kept.isEmpty {
      for flag in [CAP_PERMITTED, CAP_EFFECTIVE] {
        try check(
          cap_set_flag(sets, flag, Int32(kept.count), &kept, CAP_SET), "cap_set_flag", names.joined(separator: ","))
      }
    }
    try check(cap_set_proc(sets), "cap_set_proc", names.joined(separator: ","))
  }

  /// Becomes an ordinary user for good: no groups, no capabilities, no way back (`no_new_privs`).
  public static func becomeUser(_ uid: uid_t, group: gid_t) throws(LinuxError) {
    var capability: cap_value_t = 0
    while cap_get_bound(capability) >= 0 {
      try check(cap_drop_bound(capability), "cap_drop_bound", "\(capability)")
      capability += 1
    }
    try check(setgroups(0, nil), "setgroups", "none")
    try check(cl_setresgid(group), "setresgid", "\(group)")
    try check(cl_setresuid(uid), "setresuid", "\(uid)")
    try keep(only: [])
    try check(cl_no_new_privileges(), "prctl PR_SET_NO_NEW_PRIVS", "")
  }

  /// Whether the calling process has this capability in effect.
  public static func has(_ name: String) -> Bool {
    var value: cap_value_t = 0
    guard cap_from_name(name, &value) == 0, let sets = cap_get_proc() else { return false }
    defer { cap_free(UnsafeMutableRawPointer(sets)) }
    var flag = CAP_CLEAR
    return cap_get_flag(sets, value, CAP_EFFECTIVE, &flag) == 0 && flag == CAP_SET
  }
}
