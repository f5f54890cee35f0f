// botburrow-init: a launcher of sandboxes, and PID 1 of each.
//
// The supervisor starts a few launchers and keeps them. A launcher takes one request after the other: it enters the
// network namespace and the mount namespace of the profile's root, makes PID 1 with the other namespaces, and goes back to
// waiting. PID 1 is a copy of the launcher (single-threaded, with nothing in its memory but this program), carries out the
// plan and stays as reaper and signal relay. No heap, no libc: nothing here can wait for a lock that somebody held.

import CInit
import CPlan

/// Called by `_start` (CInit.c). With an argument it mounts a proc on `proc` of the current directory and ends: the
/// supervisor can't do that itself, for a proc shows the PID namespace of who mounts it.
@c(Init_main)
public func initMain(_ argumentCount: CInt, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  if argumentCount > 1 {
    let flags = 2 | 4 | 8  // MS_NOSUID | MS_NODEV | MS_NOEXEC
    let answer = call(NR_mount.number, text("proc"), text("proc"), text("proc"), flags, 0)
    return answer < 0 ? 1 : 0
  }
  serveLaunches()
}
