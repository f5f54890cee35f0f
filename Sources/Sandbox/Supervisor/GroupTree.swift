import Glibc
import Linux

/// Where persistent workspaces are kept.
let workspaceStore = "/var/lib/botburrow/workspaces"

/// The supervisor's part of the cgroup tree: one group of its own, with one below it per activation.
struct GroupTree: Sendable {
  /// Controllers that limits need.
  static let wanted = Supervisor.neededControllers.union(["io"])
  /// Where activations' groups are made; nil on a host without cgroup v2.
  let root: ControlGroup?
  /// Controllers that activations get.
  let controllers: Set<String>
  /// Why there are not more, for the message that refuses.
  let shortage: String
  /// The disks that `io.max` speaks of.
  var disks: [BlockDevice] = []

  /// Makes the tree below the supervisor's own group, and removes what dead supervisors left beside it.
  static func make(pid: pid_t) throws(LinuxError) -> GroupTree {
    try Faults.point("make group tree")
    guard ControlGroup.mountPoint(inMountInfo: try readFile("/proc/self/mountinfo")) != nil else {
      return GroupTree(root: nil, controllers: [], shortage: "no cgroup v2 hierarchy is mounted on this host")
    }
    let current = try ControlGroup.current()
    let own = base(of: current, hasType: { $0.value("cgroup.type") != nil })
    sweep(own)
    let available = try own.controllers().intersection(wanted)
    if !available.isEmpty { try makeRoom(in: own, for: available) }
    let root = own.child("botburrow-\(pid)")
    try root.create()
    do throws(LinuxError) { try root.delegate(available.sorted()) } catch {
      try? root.remove()
      throw error
    }
    return GroupTree(
      root: root, controllers: available,
      shortage: "\(own.path) has the controllers [\(available.sorted().joined(separator: " "))]",
      disks: BlockDevice.behind(["/", workspaceStore]))
  }

  /// Where processes of the supervisor's own group move to.
  private static let leaf = "daemons"

  /// The group to make the tree in. Whoever an earlier supervisor moved to the leaf, and whom it started since, is in
  /// there: going down from it again would nest one level deeper with every supervisor. A host's root (it has no type) is
  /// never left, so a group of that name below it is somebody else's.
  static func base(of current: ControlGroup, hasType: (ControlGroup) -> Bool) -> ControlGroup {
    guard current.path.hasSuffix("/" + leaf) else { return current }
    let parent = ControlGroup(path: String(current.path.dropLast(leaf.utf8.count + 1)))
    return hasType(parent) ? parent : current
  }

  /// A group with controllers can't hold processes and children both (cgroups(7), "no internal processes"): whoever is
  /// in it moves to a leaf first. The host's root is exempt.
  private static func makeRoom(in own: ControlGroup, for controllers: Set<String>) throws(LinuxError) {
    var left = 20
    while true {
      if own.value("cgroup.type") != nil { try empty(own) }
      // Somebody in the group may have started a process since we looked.
      do { return try own.delegate(controllers.sorted()) } catch  where error.code == EBUSY && left > 0 { left -= 1 }
    }
  }

  private static func empty(_ own: ControlGroup) throws(LinuxError) {
    let leaf = own.child(leaf)
    do { try leaf.create() } catch  where error.code == EEXIST {}
    for process in (own.value("cgroup.procs") ?? "").split(separator: "\n") {
      do { try leaf.set("cgroup.procs", String(process)) } catch  where error.code == ESRCH {}
    }
  }

  /// Removes the groups of supervisors that are no more, one that had our own number included (in a container numbers come
  /// again soon); their sandboxes died with them.
  private static func sweep(_ own: ControlGroup) {
    for name in (try? directories(in: own.path)) ?? [] where name.hasPrefix("botburrow-") {
      guard let pid = pid_t(name.dropFirst(10)), pid == getpid() || isGone(pid) else { continue }
      let left = own.child(name)
      try? left.kill()
      _ = try? left.waitUntilEmpty(timeout: .seconds(1))
      try? left.remove()
    }
  }

  /// Whether no process has this number but, at most, one that is dead and that its parent hasn't reaped yet.
  private static func isGone(_ pid: pid_t) -> Bool {
    if kill(pid, 0) < 0 { return errno == ESRCH }
    // The state follows the name, which may itself hold a parenthesis (proc_pid_stat(5)).
    let status = (try? readFile("/proc/\(pid)/stat")) ?? ""
    let state = status.split(separator: ")").last?.first { $0 != " " }
    return state == "Z" || state == "X"
  }

  /// Which of a profile's limits nobody enforces here, each with the reason; without a profile, those that every one has.
  func missing(_ limits: Profile.Limits? = nil) -> [String] {
    var needs = [("memory", "memory"), ("cpus", "cpu"), ("pids", "pids")]
    if limits?.io != nil { needs.append(("io", "io")) }
    var missing = needs.filter { !controllers.contains($0.1) }.map { limit, controller in
      "\(limit): the cgroup controller '\(controller)' is not available (\(shortage))"
    }
    if limits?.io != nil, controllers.contains("io"), disks.isEmpty {
      missing.append("io: no disk is behind '/' or \(workspaceStore)")
    }
    return missing
  }

  /// Makes the group of one activation with its limits.
  func makeGroup(_ name: String, limits: Profile.Limits) throws(LinuxError) -> ControlGroup? {
    guard let group = root?.child(name) else { return nil }
    try Faults.point("make group")
    try group.create()
    do throws(LinuxError) {
      try Faults.point("limit group")
      for (file, value) in settings(limits) {
        // A kernel without swap has no such file, and nothing to limit.
        do { try group.set(file, value) } catch  where file == "memory.swap.max" && error.code == ENOENT {}
      }
    } catch {
      try? group.remove()
      throw error
    }
    return group
  }

  /// Files and values of a group's limits here.
  func settings(_ limits: Profile.Limits) -> [(file: String, value: String)] {
    Self.settings(limits, controllers: controllers, disks: disks)
  }

  /// Files and values of a group's limits; what the kernel has anyway is not written.
  static func settings(
    _ limits: Profile.Limits, controllers: Set<String>, disks: [BlockDevice]
  ) -> [(file: String, value: String)] {
    var settings: [(String, String)] = []
    if controllers.contains("memory") {
      settings += [
        ("memory.max", "\(limits.memory)"), ("memory.swap.max", "\(limits.swap)"), ("memory.oom.group", "1"),
      ]
      if let high = limits.memoryHigh { settings.append(("memory.high", "\(high)")) }
    }
    if controllers.contains("cpu") {
      settings.append(("cpu.max", "\(Int(limits.cpus * 100_000)) 100000"))
      if limits.cpuWeight != 100 { settings.append(("cpu.weight", "\(limits.cpuWeight)")) }
    }
    if controllers.contains("pids") { settings.append(("pids.max", "\(limits.pids)")) }
    if controllers.contains("io"), let io = limits.io {
      let keys = [
        ("rbps", io.readBytes), ("wbps", io.writeBytes), ("riops", io.readOperations), ("wiops", io.writeOperations),
      ]
      let text = keys.compactMap { key, value in value.map { "\(key)=\($0)" } }.joined(separator: " ")
      // One disk a write: the file takes one line at a time.
      settings += disks.map { ("io.max", "\($0) \(text)") }
    }
    return settings
  }

  /// Removes the tree at the supervisor's end.
  func remove() {
    guard let root else { return }
    try? root.kill()
    _ = try? root.waitUntilEmpty(timeout: .seconds(2))
    try? root.remove()
  }
}
