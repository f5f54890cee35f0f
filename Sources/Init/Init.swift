// botburrow-init: first the launcher of a sandbox, then its PID 1.
//
// The supervisor spawns this program (single-threaded, so everything after clone3 is ordinary code). The launcher enters
// the network namespace, makes PID 1 with the other namespaces and ends; PID 1 carries out the plan and stays as reaper
// and signal relay. No heap, no libc: nothing here can wait for a lock that somebody held at the fork.

import CInit
import CPlan

/// Called by `_start` (CInit.c) with argc and argv, neither of which it needs; its answer is the launcher's exit code.
@c(Init_main)
public func initMain(_ argumentCount: CInt, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  let plan = mapPlan()
  // Before the user namespace, which would take away the right to enter one that the host owns (setns(2)).
  let entered = call(NR_setns.number, PLAN_FD_NETWORK.number, Int(CLONE_NEWNET))
  if entered < 0 { fail(operation: PLAN_LAUNCH_NETWORK.rawValue, entered) }

  var pidfd: Int32 = -1
  let pid = withUnsafeMutablePointer(to: &pidfd) { pidfd in
    var request = clone_args()
    // CLONE_PARENT: the supervisor becomes the parent, so it can wait for PID 1 and its thread's death ends it.
    request.flags = plan.header.clone_flags | UInt64(INIT_CLONE_PARENT.number) | UInt64(INIT_CLONE_PIDFD.number)
    request.pidfd = UInt64(UInt(bitPattern: address(pidfd)))
    if plan.header.flags & PLAN_HAS_CGROUP.rawValue != 0 {
      request.flags |= init_clone_into_cgroup()
      request.cgroup = UInt64(PLAN_FD_CGROUP.number)
    }
    return withUnsafePointer(to: &request) { request in
      call(NR_clone3.number, address(request), MemoryLayout<clone_args>.size)
    }
  }
  if pid < 0 { fail(operation: PLAN_LAUNCH_CLONE.rawValue, pid) }
  if pid == 0 { interpret(plan) }
  reportLaunched(pid: pid, pidfd: pidfd)
  return 0
}

/// The plan in our memory, private and writable: PLAN_RUN's pointer tables are filled in place.
struct MappedPlan {
  let base: UnsafeMutableRawPointer
  let header: plan_header
}

private func mapPlan() -> MappedPlan {
  let headerBytes = MemoryLayout<plan_header>.size
  let length = call(NR_lseek.number, PLAN_FD_PLAN.number, 0, 2)
  if length < headerBytes { fail(operation: PLAN_LAUNCH_READ.rawValue, length < 0 ? length : -Int(EINVAL)) }
  // PROT_READ|PROT_WRITE, MAP_PRIVATE
  let mapped = call(NR_mmap.number, 0, length, 3, 2, PLAN_FD_PLAN.number, 0)
  guard mapped > 0, let base = UnsafeMutableRawPointer(bitPattern: mapped) else {
    fail(operation: PLAN_LAUNCH_READ.rawValue, mapped)
  }
  let header = base.load(as: plan_header.self)
  if header.magic != PLAN_MAGIC || header.version != PLAN_VERSION || Int(header.length) != length {
    fail(operation: PLAN_LAUNCH_READ.rawValue, -Int(EINVAL))
  }
  return MappedPlan(base: base, header: header)
}
