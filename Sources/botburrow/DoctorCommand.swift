import ArgumentParser
import Doctor
import Glibc
import JSON
import Linux
import Sandbox

/// `botburrow doctor`
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Look at this machine: what the system needs, what it has, what to do.",
    discussion: """
      Exit 1 if something is missing without which no sandbox can be made. As root it makes a sandbox, and asks the tools \
      that it finds for their versions inside; a version that was not tested may well work. Of the Redis that the \
      configuration file or --redis names it says whether work can be lost there.
      """)

  @Flag(help: "Print JSON instead of a table.") var json = false
  @Option(name: .shortAndLong, help: "The configuration file.") var config: String?
  @Option(help: "Redis, as in redis.url; instead of the file's.") var redis: String?
  @Option(help: "Directory of profiles.") var profiles: String?
  @Option(help: "The supervisor's socket.") var socket = Places.socket

  func run() throws {
    let findings =
      kernel() + [privileges(), controlGroups()]
      + UserNamespaceRules.read().findings(isPrivileged: Capabilities.has("cap_sys_admin"))
      + programs() + RedisFindings.read(config: config, redis: redis) + installation()
    if json {
      print(try JSON.text(findings.map(\.json), pretty: true))
    } else {
      let width = findings.map(\.subject.count).max() ?? 0
      for finding in findings { print(finding.line(width)) }
    }
    if findings.contains(where: { $0.state == .missing }) { throw ExitCode.failure }
  }

  private func kernel() -> [Finding] {
    let release = KernelFeatures.release
    let isNewEnough = KernelFeatures.version(of: release).map { $0 >= (5, 14) } ?? false
    let namespaces = KernelFeatures.missingNamespaces
    let actions = (try? readFile("/proc/sys/kernel/seccomp/actions_avail")) ?? ""
    return [
      Finding("kernel", isNewEnough ? .ok : .missing, release, "use Linux 5.14 or newer (cgroup.kill)"),
      Finding(
        "namespaces", namespaces.isEmpty ? .ok : .missing,
        namespaces.isEmpty ? "user mnt pid net ipc uts cgroup time" : "without " + namespaces.joined(separator: " "),
        "use a kernel with these namespaces"),
      Finding(
        "seccomp", actions.contains("errno") ? .ok : .missing, actions.isEmpty ? "no filters" : "filters",
        "use a kernel with CONFIG_SECCOMP_FILTER"),
      LandlockStatus.read().finding,
    ]
  }

  private func privileges() -> Finding {
    let needed = ["cap_sys_admin", "cap_net_admin", "cap_setuid", "cap_setgid", "cap_sys_ptrace", "cap_dac_override"]
    let absent = needed.filter { !Capabilities.has($0) }
    return Finding(
      "privileges", absent.isEmpty ? .ok : .limited,
      absent.isEmpty ? "root" : "without " + absent.joined(separator: " "),
      "the supervisor must be root; all else must not")
  }

  private func controlGroups() -> Finding {
    guard let group = try? ControlGroup.current() else {
      return Finding(
        "cgroup v2", .limited, "not mounted",
        "boot with systemd.unified_cgroup_hierarchy=1, or use --cgroup best-effort")
    }
    let wanted = Supervisor.neededControllers
    // What this process lacks counts only where it would make sandboxes itself; 'sandbox run' and 'up' get a scope.
    let root = (try? readFile("/proc/self/mountinfo")).flatMap(ControlGroup.mountPoint)
    let all = root.flatMap { try? ControlGroup(path: $0).controllers() } ?? []
    if DelegatedScope.isNeeded, wanted.isSubset(of: all) {
      return Finding("cgroup v2", .ok, "memory cpu pids, in units and scopes that systemd delegates", "")
    }
    let absent = wanted.subtracting((try? group.controllers()) ?? [])
    return Finding(
      "cgroup v2", absent.isEmpty ? .ok : .limited,
      absent.isEmpty
        ? "memory cpu pids at \(group.path)" : "\(group.path) is without \(absent.sorted().joined(separator: " "))",
      "limits need these controllers: start the supervisor with Delegate=yes under systemd, or use --cgroup best-effort"
    )
  }

  private func programs() -> [Finding] {
    let loop = "/dev/loop-control"
    let hasLoop = access(loop, F_OK) == 0
    return [
      ("redis-server", "apt-get install redis-server, or name a Redis in redis.url"),
      ("setpriv", "apt-get install util-linux; 'up' starts Redis through it"),
      ("mkfs.ext4", "apt-get install e2fsprogs; workspaces that stay are made with it"),
      ("tar", "apt-get install tar; agents' notes are read with it, in the sandbox of their profile"),
    ].map { name, advice in
      let places = ["/usr/bin/\(name)", "/bin/\(name)", "/usr/local/bin/\(name)", "/usr/sbin/\(name)", "/sbin/\(name)"]
      let path = places.first { access($0, X_OK) == 0 }
      return Finding(name, path == nil ? .limited : .ok, path ?? "not found", advice)
    } + [
      Finding(
        "loop devices", hasLoop ? .ok : .limited, hasLoop ? loop : "\(loop) isn't there",
        "modprobe loop; workspaces that stay and roots from images are mounted through them")
    ]
  }

  private func installation() -> [Finding] {
    let initProgram = Result { try Places.initProgram() }
    let directory = Result { try Places.profiles(profiles) }
    var findings = [
      Finding("botburrow-init", initProgram), Finding("profiles", directory),
      Finding(
        "supervisor", UnixSocket.accepts(socket) ? .ok : .limited,
        UnixSocket.accepts(socket) ? "serves \(socket)" : "nobody serves \(socket)",
        "start it: systemctl start botburrow-supervisor, or botburrow up"),
    ]
    let source = (try? directory.get()).map { ProfileSource(directory: $0) } ?? .empty
    for profile in source.names() {
      do {
        let program = try ProfileFile.load(profile, from: source).profile.syscalls.compile()
        findings.append(Finding("profile \(profile)", .ok, "\(program.count / 8) filter instructions", ""))
      } catch {
        findings.append(Finding("profile \(profile)", .missing, "\(error)", "mend the file"))
      }
    }
    findings.append(trial())
    return findings + ToolFindings.read(profiles: profiles, from: source)
  }

  /// The proof: one sandbox, made and gone.
  private func trial() -> Finding {
    guard geteuid() == 0 else { return Finding("a sandbox", .limited, "not tried", "run doctor as root to try one") }
    do {
      let connection = try SupervisorCommand.startPrivate(profiles: profiles, cgroup: .bestEffort)
      let null = try Descriptor.open("/dev/null", O_RDWR)
      try connection.spawn(
        SandboxRequest(activationID: "doctor-\(getpid())", profile: "default", arguments: ["/bin/true"]),
        streams: [null, null, Descriptor.borrowed(2)], files: [])
      while true {
        if case .ended(let receipt) = try connection.next() {
          let good = receipt.exit == .exited(code: 0)
          // Its words are those of 'cgroup v2' above, which has the advice.
          let limits = receipt.json["not_enforced"] == [] ? ", with every limit" : ""
          return Finding("a sandbox", good ? .ok : .missing, "\(receipt.exit)\(limits)", "the reason stands beside it")
        }
      }
    } catch { return Finding("a sandbox", .missing, "\(error)", "the reason stands beside it") }
  }
}

extension Finding {
  fileprivate init(_ subject: String, _ place: Result<String, any Error>) {
    switch place {
    case .success(let path): self.init(subject, .ok, path)
    case .failure(let error): self.init(subject, .missing, "\(error)", "install it, or say where it is")
    }
  }

  /// One line of the table.
  fileprivate func line(_ width: Int) -> String {
    let word =
      switch state {
      case .ok: Style.green("ok     ")
      case .limited: Style.yellow("limited")
      case .missing: Style.red("missing")
      }
    let subject = subject + String(repeating: " ", count: width - subject.count)
    return "\(subject)  \(word)  \(detail)" + (state == .ok || advice.isEmpty ? "" : "; \(advice)")
  }
}
