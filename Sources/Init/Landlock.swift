import CInit
import CPlan

/// Landlock (landlock(7)): a second wall under the mounts, of this process and all that come from it.
func restrict(_ data: UnsafeMutableRawPointer) -> Int {
  let header = data.load(as: plan_landlock.self)
  // struct landlock_ruleset_attr of ABI 6; older kernels take its beginning.
  var attributes = (header.handled_files, header.handled_network, header.scoped)
  let ruleset = withUnsafeBytes(of: &attributes) {
    call(NR_landlock_create_ruleset.number, address($0.baseAddress), Int(header.attribute_size), 0)
  }
  if ruleset < 0 { return ruleset }
  var answer = 0
  var index = 0
  while answer >= 0 && index < Int(header.rules) {
    let place = MemoryLayout<plan_landlock>.size + index * MemoryLayout<plan_landlock_rule>.size
    let rule = data.load(fromByteOffset: place, as: plan_landlock_rule.self)
    answer = allow(rule.access, beneath: address(data + Int(rule.path)), in: ruleset)
    index += 1
  }
  if answer >= 0 { answer = call(NR_landlock_restrict_self.number, ruleset, 0) }
  _ = call(NR_close.number, ruleset)
  return answer
}

private func allow(_ access: UInt64, beneath path: Int, in ruleset: Int) -> Int {
  // O_PATH
  let file = call(NR_openat.number, currentDirectory, path, 0o10000000 | closeOnExec)
  if file < 0 { return file }
  var rule = landlock_path_beneath_attr(allowed_access: access, parent_fd: Int32(file))
  let answer = withUnsafeBytes(of: &rule) {
    call(NR_landlock_add_rule.number, ruleset, Int(LANDLOCK_RULE_PATH_BENEATH.rawValue), address($0.baseAddress), 0)
  }
  _ = call(NR_close.number, file)
  return answer
}
