import Sandbox

/// Behind every wall the kernel looks at the argument, and refuses that.
private func reaching(_ errno: String) -> Probe.Control { .answers(errno) }

private let noModules = "this kernel loads no modules"
private let hostName = Probe.Control.fresh("--uts")

extension Probe {
  static let kernel: [Probe] =
    [
      .held(.calls, "add a key", "add_key", "EPERM"),
      .held(.calls, "open a keyring", "keyctl", "EPERM"),
      .held(.calls, "ask for a key", "request_key", "EPERM"),
      .held(.calls, "make a bpf map", "bpf", "EPERM"),
      .held(.calls, "count events of the processor", "perf_event_open", "EPERM"),
      .held(.calls, "handle page faults itself", "userfaultfd", "EPERM"),
      .held(.calls, "make an io_uring", "io_uring_setup", "EPERM"),
      .held(
        .calls, "load a new kernel", "kexec_load", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no kexec")),
      .held(.calls, "load a module", "init_module", "EPERM", control: reaching("ENOEXEC").unless("ENOSYS", noModules)),
      .held(
        .calls, "unload a module", "delete_module", "EPERM", control: reaching("ENOENT").unless("ENOSYS", noModules)),
      .held(.calls, "the reboot call", "reboot", "EPERM"),
      .held(.calls, "set the host name", "sethostname", "EPERM", control: hostName),
      .held(.calls, "set the domain name", "setdomainname", "EPERM", control: hostName),
      .held(.calls, "quotas", "quotactl", "EPERM"),
      .held(.calls, "swap on", "swapon", "EPERM", control: reaching("ENOENT")),
      .held(.calls, "swap off", "swapoff", "EPERM", control: reaching("ENOENT")),
      .held(.calls, "process accounting", "acct", "EPERM"),
      .held(.calls, "the kernel's log", "syslog", "EPERM"),
      .held(.calls, "watch all files of a mount", "fanotify_init", "EPERM"),
      .held(.calls, "move memory between nodes", "migrate_pages", "EPERM", control: reaching("EINVAL")),
      .held(
        .calls, "memory that the kernel can't see", "memfd_secret", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no memfd_secret")),
      .held(
        .calls, "quotas by descriptor", "quotactl_fd", "EPERM",
        control: Control.answers("EBADF", "ENODEV", "ESRCH", "EINVAL", "ENOTBLK").unless(
          "ENOSYS", "this kernel has no quotas")),
      .held(
        .calls, "load a module by its file", "finit_module", "EPERM",
        control: reaching("EBADF").unless("ENOSYS", noModules)),
      .held(
        .calls, "load a new kernel by its file", "kexec_file_load", "EPERM",
        control: Control.answers("EBADF", "EINVAL").unless("ENOSYS", "this kernel has no kexec")),
      .held(
        .calls, "names by cookies", "lookup_dcookie", "EPERM",
        control: reaching("EINVAL").unless("ENOSYS", "this kernel has no such call")),
      .held(.calls, "message queues", "mq_open botburrow-probe", "EPERM", control: .fresh("--ipc")),
      .held(
        .calls, "the node where memory lives", "set_mempolicy_home_node", "EPERM",
        control: reaching("EINVAL").unless("ENOSYS", "this kernel has no such call")),
      .held(.calls, "memory of large pages", "huge-pages", "EPERM", control: Control.answers("ok", "ENOMEM")),
      .held(.calls, "no address randomisation", "personality 0x40000", "EPERM"),
      .held(.calls, "a readable page zero", "personality 0x100000", "EPERM"),
    ] + portProbes

  #if arch(x86_64)
    private static let portProbes: [Probe] = [
      .held(
        .calls, "ports of devices", "ioperm", "EPERM",
        control: Control().unless("ENOSYS", "this kernel gives no ports away")),
      .held(
        .calls, "all ports of devices", "iopl", "EPERM",
        control: Control().unless("ENOSYS", "this kernel gives no ports away")),
      .held(
        .calls, "its local descriptor table", "modify_ldt", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no modify_ldt")),
    ]
  #else
    private static let portProbes: [Probe] = []
  #endif

  /// Ways around a filter: arguments wider than the kernel reads, other numberings, numbers from the future.
  static let numbering: [Probe] =
    [
      .held(.calls, "a namespace by clone flags of more than 32 bits", "clone 0x110000000", "EPERM"),
      .held(
        .calls, "TIOCSTI by a request of more than 32 bits", "terminal 0x100005412", "EPERM",
        control: Control().unless("EIO", "this kernel has no TIOCSTI")),
      .held(.calls, "TIOCSETD by a request of more than 32 bits", "terminal 0x100005423", "EPERM"),
      .held(.calls, "a persona of more than 32 bits", "personality 0x100040000", "EPERM"),
      .held(.calls, "a raw socket's protocol of more than 32 bits", "socket 2 3 0x100000001", "EPERM"),
    ] + foreign

  #if arch(x86_64)
    private static let foreign: [Probe] = [
      .held(
        .calls, "system calls of i386", "int80", "EPERM",
        control: Control().unless("signaled(11)", "this kernel runs no i386 programs")),
      .held(
        .calls, "system calls of x32", "x32 39", "EPERM",
        control: Control().unless("ENOSYS", "this kernel runs no x32 programs")),
    ]
  #else
    private static let foreign: [Probe] = []
  #endif
}
