import Glibc
import JSON
import Linux
import Sandbox

/// Somebody who runs `/bin/true` in what they call a sandbox, from the wish to its being gone.
struct Contestant {
  var name: String
  /// Milliseconds of one run.
  var measure: () throws -> Double

  static func timed(_ name: String, _ run: @escaping () throws -> Void) -> Contestant {
    Contestant(name: name) { try milliseconds(run) }
  }
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func milliseconds(_ body: () throws -> Void) throws -> Double {
  let start = ContinuousClock.now
  try body()
  return (ContinuousClock.now - start).seconds * 1000
}

/// Starts a command and waits for its end.
func runProcess(_ arguments: [String]) throws {
  let null = try Descriptor.open("/dev/null", O_RDWR)
  let pid = try spawn(
    arguments[0], arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    descriptors: [null, null, null])
  var status: Int32 = 0
  while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
  if ProcessEnd(waitStatus: status) != .exited(0) { throw BenchError("\(arguments[0]) failed: \(status)") }
}

/// Everything that can be run here, and why the rest can't.
struct Field {
  var contestants: [Contestant] = []
  var absent: [String] = []

  init(supervisor: Supervised, floor: Floor, bundle: String) {
    contestants = [
      .timed(Self.ours) { try supervisor.run(["/bin/true"]) },
      Contestant(name: Self.floor) { try floor.ask("ready") },
      .timed("fork + exec, no sandbox") { try runProcess(["/bin/true"]) },
    ]
    add(Self.bubblewrap, "/usr/bin/bwrap", bubblewrapArguments)
    let jail = getenv("BOTBURROW_NSJAIL").map { String(cString: $0) } ?? "/usr/bin/nsjail"
    add("nsjail", jail, nsjailArguments)
    do {
      try makeBundle(bundle)
      var container = 0
      let runc = Contestant.timed(Self.runc) {
        container += 1
        try runProcess(["/usr/sbin/runc", "run", "--bundle", bundle, "bench-\(getpid())-\(container)"])
      }
      _ = try runc.measure()
      contestants.append(runc)
    } catch {
      absent.append("\(Self.runc): \(error)")
    }
  }

  static let ours = "botburrow (running supervisor)"
  static let floor = "raw clone3, network namespace ready"
  static let bubblewrap = "bwrap --unshare-all"
  static let runc = "runc run"

  private mutating func add(_ name: String, _ program: String, _ arguments: [String]) {
    let contestant = Contestant.timed(name) { try runProcess([program] + arguments) }
    do {
      _ = try contestant.measure()
      contestants.append(contestant)
    } catch { absent.append("\(name): \(error)") }
  }
}

/// `/usr` read-only, proc, dev and two tmpfs.
private let bubblewrapArguments = [
  "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
  "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/workspace",
  "/bin/true",
]

/// The same view.
private let nsjailArguments = [
  "-Mo", "-q", "--chroot", "", "-R", "/usr", "-R", "/lib64", "-R", "/bin", "-R", "/lib", "-T", "/tmp", "-T",
  "/workspace", "--disable_rlimits", "--user", "99999", "--group", "99999", "--", "/bin/true",
]

/// An OCI bundle with the same view of the host, for runc.
private func makeBundle(_ directory: String) throws {
  try runProcess(["/bin/mkdir", "-p", "\(directory)/rootfs"])
  for name in ["usr", "proc", "dev", "sys", "tmp"] {
    try runProcess(["/bin/mkdir", "-p", "\(directory)/rootfs/\(name)"])
  }
  for (name, target) in [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
    symlink(target, "\(directory)/rootfs/\(name)")
  }
  unlink("\(directory)/config.json")
  try runProcess(["/usr/sbin/runc", "spec", "--bundle", directory])
  guard case .object(var config) = try JSONValue(parsing: try readFile("\(directory)/config.json").utf8),
    case .object(var process)? = config["process"], case .array(let mounts)? = config["mounts"]
  else { throw BenchError("runc spec gave something else") }
  process["terminal"] = false
  process["args"] = ["/bin/true"]
  config["process"] = .object(process)
  config["mounts"] = .array(
    mounts + [["destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]]])
  let file = try Descriptor.open("\(directory)/config.json", O_WRONLY | O_TRUNC)
  try file.write(try JSON.encode(JSONValue.object(config)))
}
