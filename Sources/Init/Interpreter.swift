import CInit
import CPlan

/// The plan in our memory, private and writable: PLAN_RUN's pointer tables are filled in place.
struct MappedPlan {
  let base: UnsafeMutableRawPointer
  let header: plan_header
}

/// Maps the plan only once we are PID 1: it holds this activation's token, which a launcher would hand on to the next.
func mapPlan(_ request: launch_request) -> MappedPlan {
  if let answer = faulted(PLAN_LAUNCH_READ, request, to: PLAN_FD_CONTROL.number) {
    fail(operation: PLAN_LAUNCH_READ.rawValue, answer)
  }
  let headerBytes = MemoryLayout<plan_header>.size
  let length = call(NR_lseek.number, LAUNCH_FD_PLAN.number, 0, 2)
  if length < headerBytes { fail(operation: PLAN_LAUNCH_READ.rawValue, length < 0 ? length : -Int(EINVAL)) }
  // PROT_READ|PROT_WRITE, MAP_PRIVATE
  let mapped = call(NR_mmap.number, 0, length, 3, 2, LAUNCH_FD_PLAN.number, 0)
  guard mapped > 0, let base = UnsafeMutableRawPointer(bitPattern: mapped) else {
    fail(operation: PLAN_LAUNCH_READ.rawValue, mapped)
  }
  let header = base.load(as: plan_header.self)
  if header.magic != PLAN_MAGIC || header.version != PLAN_VERSION || Int(header.length) != length {
    fail(operation: PLAN_LAUNCH_READ.rawValue, -Int(EINVAL))
  }
  return MappedPlan(base: base, header: header)
}

/// Carries out the plan in its order; PLAN_RUN is its last operation and doesn't come back.
func interpret(_ plan: MappedPlan) -> Never {
  var cursor = plan.base + MemoryLayout<plan_header>.size
  var index: UInt32 = 0
  var secrets = Secrets()
  while index < plan.header.operations {
    let operation = Operation(base: cursor)
    let answer = operation.fault ?? perform(operation, index: index, &secrets)
    if answer < 0 { fail(operation: index, answer) }
    cursor += (Int(operation.header.length) + 7) & ~7
    index += 1
  }
  fail(operation: index, -Int(EINVAL))
}

/// One operation of the plan where it lies in memory.
struct Operation {
  let base: UnsafeMutableRawPointer
  let header: plan_operation

  init(base: UnsafeMutableRawPointer) {
    self.base = base
    header = base.load(as: plan_operation.self)
  }
  var first: Int { Int(truncatingIfNeeded: header.argument.0) }
  var second: Int { Int(truncatingIfNeeded: header.argument.1) }
  var third: Int { Int(truncatingIfNeeded: header.argument.2) }
  var path: Int { header.path == 0 ? 0 : address(base + Int(header.path)) }
  var text: Int { header.text == 0 ? 0 : address(base + Int(header.text)) }
  var data: UnsafeMutableRawPointer { base + Int(header.data) }
  var dataLength: Int { Int(header.data_length) }
}

private func perform(_ operation: Operation, index: UInt32, _ secrets: inout Secrets) -> Int {
  switch plan_code(rawValue: operation.code) {
  case PLAN_SET_IDENTITY: return setIdentity(user: operation.first, group: operation.second)
  case PLAN_UNSHARE: return call(NR_unshare.number, operation.first)
  case PLAN_HOSTNAME: return call(NR_sethostname.number, operation.text, length(operation.text))
  case PLAN_MOUNT:
    return call(
      NR_mount.number, operation.text, operation.path, operation.text, operation.first, address(operation.data))
  case PLAN_AWAIT_MAPPED_MOUNTS:
    report(REPORT_HAS_IDS)
    awaitOrder(ORDER_MOUNTS_MAPPED)
    return 0
  case PLAN_ATTACH_TREE: return attach(tree: operation.first, at: operation.path)
  case PLAN_MAKE_DIRECTORY: return makeDirectory(operation.path, mode: operation.first)
  case PLAN_COPY_FILE:
    return makeFile(operation.path, mode: operation.first) { file in copy(from: operation.second, to: file) }
  case PLAN_MAP_SECRETS: return secrets.map(operation.first)
  case PLAN_WRITE:
    let file = call(NR_openat.number, currentDirectory, operation.path, 1 | closeOnExec)
    if file < 0 { return file }
    let answer = writeAll(to: file, operation.data, operation.dataLength)
    _ = call(NR_close.number, file)
    return answer
  case PLAN_MASK_FILE:
    // A bind mount. The supervisor made sure that this /dev/null is one (CVE-2025-31133), and nothing else runs here yet.
    return call(NR_mount.number, text("/dev/null"), operation.path, 0, 0x1000 /* MS_BIND */, 0)
  case PLAN_MASK_DIRECTORY:
    return call(
      NR_mount.number, text("tmpfs"), operation.path, text("tmpfs"), readOnlyFlags, text("size=0,nr_inodes=2"))
  case PLAN_READ_ONLY: return makeReadOnly(operation.path)
  case PLAN_RESOURCE_LIMIT: return setLimit(operation.first, soft: operation.second, hard: operation.third)
  case PLAN_DROP_BOUNDING_SET: return dropBoundingSet()
  case PLAN_SECUREBITS: return call(NR_prctl.number, Int(PR_SET_SECUREBITS), operation.first)
  case PLAN_NO_NEW_PRIVILEGES: return call(NR_prctl.number, Int(PR_SET_NO_NEW_PRIVS), 1)
  case PLAN_NOT_DUMPABLE: return call(NR_prctl.number, Int(PR_SET_DUMPABLE), 0)
  case PLAN_PARENT_DEATH_SIGNAL:
    let answer = call(NR_prctl.number, Int(PR_SET_PDEATHSIG), operation.first)
    // The supervisor may have died before the signal was armed.
    if isHungUp(PLAN_FD_LIFELINE.number) { exit(125) }
    return answer
  case PLAN_DROP_CAPABILITIES: return dropCapabilities()
  case PLAN_LANDLOCK: return restrict(operation.data)
  case PLAN_CLOSE_DESCRIPTORS:
    let answer = call(NR_close_range.number, operation.first, Int(UInt32.max))
    // CLOSE_RANGE_CLOEXEC: what PID 1 keeps, the program must not have.
    return answer < 0 ? answer : call(NR_close_range.number, 3, operation.first - 1, 4)
  case PLAN_SECCOMP: return installFilter(operation.data, bytes: operation.dataLength)
  case PLAN_READY:
    report(REPORT_READY)
    return 0
  case PLAN_RUN: run(operation, index: index, secrets)
  default: return -Int(EINVAL)
  }
}
