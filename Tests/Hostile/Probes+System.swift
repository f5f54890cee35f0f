import Sandbox

extension Probe {
  /// /proc, /sys and /dev.
  static func system(_ profile: Profile) -> [Probe] {
    initProcess + masked + shared.map { setting($0, $1, profile) } + own + devices(profile) + elsewhere
  }

  private static let initProcess: [Probe] = [
    .held(.system, "PID 1's root directory", "list /proc/1/root", "ENOENT", "EACCES", control: .withInit()),
    .held(
      .system, "PID 1's environment", "read /proc/1/environ", "ENOENT", "EACCES",
      control: .withInit(answers: "content")),
    .held(.system, "PID 1's memory", "read /proc/1/mem", "ENOENT", "EACCES", control: .withInit(answers: "EIO")),
    .held(
      .system, "PID 1's map of its memory", "read /proc/1/maps", "ENOENT", "EACCES",
      control: .withInit(answers: "content")),
    .held(.system, "PID 1's descriptors", "list /proc/1/fd", "ENOENT", "EACCES", control: .withInit()),
    .held(.system, "PID 1's working directory", "list /proc/1/cwd", "ENOENT", "EACCES", control: .withInit()),
    .held(
      .system, "PID 1's mounts", "read /proc/1/mountinfo", "ENOENT", "EACCES", control: .withInit(answers: "content")),
    .held(
      .system, "the host's init program through /proc/1/exe (CVE-2019-5736)", "write /proc/1/exe", "ENOENT", "EACCES",
      // Behind every wall stands only that a running program's file can't be written.
      control: .withInit(answers: "ETXTBSY")),
    .held(
      .system, "its own program through /proc/self/exe (CVE-2019-5736)", "write /proc/self/exe", "EACCES", "EROFS",
      control: .answers("ETXTBSY")),
    .held(
      .system, "a host process by its number", "read /proc/{stander-pid}/environ", "ENOENT",
      control: .answers("content")),
    .held(
      .system, "the supervisor's files by its number", "list /proc/{supervisor-pid}/fd", "ENOENT"),
    .held(
      .system, "another sandbox by its number", "list /proc/{neighbour-pid}/root", "ENOENT"),
    .held(
      .system, "a host process as a thread of its own", "list /proc/self/task/{stander-pid}", "ENOENT",
      control: .acting("list /proc/{stander-pid}/task/{stander-pid}")),
  ]

  /// What tells of the host's memory, keys, timers and hardware. Whatever a profile says: none that is shipped shows it.
  private static let masked: [Probe] =
    maskedFiles.map(maskedFile) + maskedDirectories.map(maskedDirectory) + maskedOthers

  private static let maskedOthers: [Probe] =
    [
      .held(.system, "keys of the host", "read-keys /proc/keys", "empty", control: .answers("content")),
      .held(
        .system, "physical memory", "read /proc/kcore", "empty", "ENOENT",
        control: Control.answers("content").unless("ENOENT", "this kernel has no /proc/kcore")),
      .held(
        .system, "the kernel's log in /proc", "same-file /proc/kmsg /dev/null", "the same", "ENOENT",
        control: Control.answers("another").unless("ENOENT", "this kernel has no /proc/kmsg")),
    ]

  private static let maskedFiles: [(String, String)] = [
    ("config.gz", "the kernel's configuration"), ("interrupts", "interrupts of the host"),
    ("iomem", "the host's memory map"), ("ioports", "ports of the host's devices"),
    ("kallsyms", "addresses of kernel symbols"), ("key-users", "owners of the host's keys"),
    ("kpagecount", "use of every page"), ("kpageflags", "kind of every page"),
    ("latency_stats", "the host's latencies"),
    ("modules", "the host's modules"), ("sched_debug", "the scheduler's state"), ("slabinfo", "the kernel's heap"),
    ("timer_list", "timers of the host"), ("timer_stats", "users of the host's timers"),
    ("vmallocinfo", "addresses of the kernel's memory"), ("vmstat", "the host's memory events"),
    ("zoneinfo", "the host's memory zones"),
  ]
  private static func maskedFile(_ file: String, _ name: String) -> Probe {
    let control = Control.answers("content").unless("ENOENT", "this kernel has no /proc/\(file)")
      .unless("empty", "nothing is in the host's /proc/\(file)").unless("EPERM", "this kernel shows it to nobody")
      .unless("EIO", "nothing can be read of the host's /proc/\(file)")
    return .held(.system, name, "read /proc/\(file)", "empty", "ENOENT", control: control)
  }

  private static let maskedDirectories = ["acpi", "asound", "scsi"]
  private static func maskedDirectory(_ directory: String) -> Probe {
    .held(
      .system, "hardware in /proc/\(directory)", "any-in /proc/\(directory)", "nothing", "ENOENT",
      control: Control.answers("something").unless("ENOENT", "this machine has no /proc/\(directory)")
        .unless("nothing", "nothing is in this machine's /proc/\(directory)"))
  }

  /// Settings of the kernel, which all sandboxes share.
  private static let shared: [(String, String)] = [
    ("sys/kernel/core_pattern", "the program that the kernel runs at a crash"),
    ("sys/kernel/modprobe", "the program that the kernel loads modules with"),
    ("sys/kernel/hostname", "the host's name"), ("sys/vm/overcommit_memory", "how memory is promised"),
    ("sys/vm/drop_caches", "the host's caches"), ("sys/kernel/randomize_va_space", "address randomisation"),
    ("sys/kernel/yama/ptrace_scope", "who may trace whom"),
    ("sys/fs/suid_dumpable", "dumps of setuid programs"),
    ("sys/fs/protected_symlinks", "protection of links"), ("sys/kernel/sysrq", "the magic key's switch"),
    ("sysrq-trigger", "the magic key"), ("sys/kernel/unprivileged_bpf_disabled", "who may use bpf"),
    ("sys/net/core/bpf_jit_enable", "how the kernel translates bpf"),
    ("sys/kernel/panic", "what a panic does"),
    ("irq/default_smp_affinity", "where interrupts go"), ("mtrr", "the processor's memory types"),
  ]
  private static func setting(_ file: String, _ name: String, _ profile: Profile) -> Probe {
    // What is hidden is /dev/null, where all may write.
    if profile.masked.contains("/proc/" + file) {
      return .held(
        .system, "\(name): /proc/\(file)", "same-file /proc/\(file) /dev/null", "the same", "ENOENT",
        control: Control.answers("another").unless("ENOENT", "this kernel has no /proc/\(file)"))
    }
    let control = Control().unless("ENOENT", "this kernel has no /proc/\(file)")
      .unless("EROFS", "this machine's own /proc/\(file) is read-only").unless("EPERM", "this kernel lets nobody")
    return .held(
      .system, "\(name): /proc/\(file)", "write /proc/\(file)", "EACCES", "EROFS", "ENOENT", control: control)
  }

  private static let own: [Probe] = [
    .held(
      .system, "forwarding of its own network namespace", "write /proc/sys/net/ipv4/ip_forward 1", "EACCES", "EROFS",
      control: .network()),
    .held(
      .system, "who may ping in its own network namespace", "write /proc/sys/net/ipv4/ping_group_range 0", "EACCES",
      "EROFS",
      control: .network()),
    .held(
      .system, "how many user namespaces there may be", "write /proc/sys/user/max_user_namespaces 100", "EACCES",
      "EROFS",
      control: .fresh("--user --map-root-user")),
    .held(
      .system, "a writable /proc/sys", "mount-flags /proc/sys", "ro,nosuid,nodev",
      control: .answers("rw,nosuid,nodev", "rw,suid,nodev", "rw,suid,dev")),
    .held(.system, "its own user mapping", "map", "EPERM", control: .acting("map fresh")),
    .held(
      .system, "its place in the out-of-memory killer's order", "write /proc/self/oom_score_adj -900", "EACCES",
      control: Control().unless("EACCES", "this machine's root has no CAP_SYS_RESOURCE")),
    .held(
      .system, "a further program format", "write /proc/sys/fs/binfmt_misc/register", "EACCES", "EROFS", "ENOENT",
      control: Control().unless("ENOENT", "this kernel has no binfmt_misc")),
  ]

  private static func devices(_ profile: Profile) -> [Probe] {
    let shown = ["fd", "full", "null", "ptmx", "pts", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    let shared = profile.writable.contains("/dev/shm") ? ["shm"] : []
    return absent.map(device) + [
      .held(
        .system, "further devices", "names /dev", (shown + shared).sorted().joined(separator: " "),
        control: .inMemory("names /mnt", answers: "disk")),
      .held(
        .system, "terminals of others", "terminals", "none",
        control: Control(act: ["with-terminal", "terminals"], outside: ["some"])),
    ]
  }

  private static let absent: [(String, String)] = [
    ("kmsg", "the kernel's log"), ("mem", "physical memory"), ("port", "ports of devices"),
    ("kvm", "virtual machines"),
    ("fuse", "file systems of its own"), ("net/tun", "network interfaces of its own"),
    ("loop-control", "loop devices"),
    ("loop0", "the first loop device"), ("sda", "the first disk"), ("vda", "the first virtual disk"),
    ("console", "the console"), ("tty0", "the screen"), ("rtc0", "the machine's clock"),
    ("userfaultfd", "page faults"),
    ("vhost-net", "the host's network for machines"), ("mapper/control", "mapped disks"),
    ("autofs", "automatic mounts"),
    ("uinput", "an input device of its own"), ("hpet", "the machine's timer"),
    ("cpu_dma_latency", "the processor's sleep"),
    ("pts/0", "the host's first terminal"),
  ]
  private static func device(_ device: String, _ name: String) -> Probe {
    .held(.system, "\(name): /dev/\(device)", "open /dev/\(device)", "ENOENT", control: missing(device))
  }

  private static func missing(_ device: String) -> Control {
    var control = Control.answers("ok", "EBUSY", "EAGAIN")
    for answer in ["ENOENT", "ENXIO", "ENODEV", "EPERM", "EIO", "EACCES"] {
      control.unavailable[answer] = "this machine has no /dev/\(device)"
    }
    return control
  }

  private static let elsewhere: [Probe] = [
    .held(.system, "the host's hardware in /sys", "list /sys/devices", "ENOENT"),
    .held(.system, "control groups in /sys", "list /sys/fs/cgroup", "ENOENT"),
    .held(.system, "the kernel's own debugging files", "list /sys/kernel", "ENOENT"),
    .held(.system, "the firmware's variables", "list /sys/firmware", "ENOENT"),
    .held(
      .system, "sockets of the host in /proc/net/unix", "contains /proc/net/unix {token}", "none",
      control: .answers("found")),
    .held(
      .system, "connections of the host in /proc/net/tcp", "contains /proc/net/tcp :{port-hexadecimal}", "none",
      control: .answers("found")),
    .held(
      .system, "the host's directories among its mounts", "contains /proc/self/mountinfo {directory}", "none",
      control: .init(
        script: #"exec unshare --mount sh -c 'mount -t tmpfs none "$0"; exec "$@"' {directory}/mount "$@""#,
        outside: ["found"])),
  ]
}
