/// Behind every wall the kernel looks at the argument, and refuses that.
private func reaching(_ errno: String) -> Probe.Control { .answers(errno) }

private let noModules = "this kernel loads no modules"
private let hostName = Probe.Control.fresh("--uts")

extension Probe {
  static let kernel: [Probe] =
    [
      .held(.kernel, "add a key", "add_key", "EPERM"),
      .held(.kernel, "open a keyring", "keyctl", "EPERM"),
      .held(.kernel, "ask for a key", "request_key", "EPERM"),
      .held(.kernel, "make a bpf map", "bpf", "EPERM"),
      .held(.kernel, "count events of the processor", "perf_event_open", "EPERM"),
      .held(.kernel, "handle page faults itself", "userfaultfd", "EPERM"),
      .held(.kernel, "make an io_uring", "io_uring_setup", "EPERM"),
      .held(
        .kernel, "load a new kernel", "kexec_load", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no kexec")),
      .held(.kernel, "load a module", "init_module", "EPERM", control: reaching("ENOEXEC").unless("ENOSYS", noModules)),
      .held(
        .kernel, "unload a module", "delete_module", "EPERM", control: reaching("ENOENT").unless("ENOSYS", noModules)),
      .held(.kernel, "the reboot call", "reboot", "EPERM"),
      .held(.kernel, "set the time zone", "settimeofday", "EPERM"),
      .held(.kernel, "set a clock", "clock_settime", "EPERM", control: reaching("EINVAL")),
      .held(.kernel, "move the clock", "clock_adjtime", "EPERM"),
      .held(.kernel, "set the host name", "sethostname", "EPERM", control: hostName),
      .held(.kernel, "set the domain name", "setdomainname", "EPERM", control: hostName),
      .held(.kernel, "quotas", "quotactl", "EPERM"),
      .held(.kernel, "swap on", "swapon", "EPERM", control: reaching("ENOENT")),
      .held(.kernel, "swap off", "swapoff", "EPERM", control: reaching("ENOENT")),
      .held(.kernel, "process accounting", "acct", "EPERM"),
      .held(.kernel, "the kernel's log", "syslog", "EPERM"),
      .held(.kernel, "watch all files of a mount", "fanotify_init", "EPERM"),
      .held(.kernel, "move memory between nodes", "migrate_pages", "EPERM", control: reaching("EINVAL")),
      .held(
        .kernel, "memory that the kernel can't see", "memfd_secret", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no memfd_secret")),
      .held(.kernel, "hang up its terminal", "vhangup", "EPERM"),
      .held(
        .kernel, "type into its terminal", "terminal 0x5412", "EPERM",
        control: Control().unless("EIO", "this kernel has no TIOCSTI")),
      .held(.kernel, "paste into its terminal", "terminal 0x541c", "EPERM", control: reaching("ENOTTY")),
      .held(.kernel, "another line discipline", "terminal 0x5423", "EPERM"),
      .held(.kernel, "no address randomisation", "personality 0x40000", "EPERM"),
      .held(.kernel, "a readable page zero", "personality 0x100000", "EPERM"),
    ] + portProbes

  #if arch(x86_64)
    private static let portProbes: [Probe] = [
      .held(
        .kernel, "ports of devices", "ioperm", "EPERM",
        control: Control().unless("ENOSYS", "this kernel gives no ports away")),
      .held(
        .kernel, "all ports of devices", "iopl", "EPERM",
        control: Control().unless("ENOSYS", "this kernel gives no ports away")),
      .held(
        .kernel, "its local descriptor table", "modify_ldt", "EPERM",
        control: Control().unless("ENOSYS", "this kernel has no modify_ldt")),
    ]
  #else
    private static let portProbes: [Probe] = []
  #endif

  /// Ways around a filter: arguments wider than the kernel reads, other numberings, numbers from the future.
  static let numbering: [Probe] =
    [
      .held(.numbering, "a namespace by clone flags of more than 32 bits", "clone 0x110000000", "EPERM"),
      .held(
        .numbering, "TIOCSTI by a request of more than 32 bits", "terminal 0x100005412", "EPERM",
        control: Control().unless("EIO", "this kernel has no TIOCSTI")),
      .held(.numbering, "TIOCSETD by a request of more than 32 bits", "terminal 0x100005423", "EPERM"),
      .held(.numbering, "a persona of more than 32 bits", "personality 0x100040000", "EPERM"),
      .held(.numbering, "a raw socket's protocol of more than 32 bits", "socket 2 3 0x100000001", "EPERM"),
    ] + foreign

  #if arch(x86_64)
    private static let foreign: [Probe] = [
      .held(
        .numbering, "system calls of i386", "int80", "EPERM",
        control: Control().unless("signaled(11)", "this kernel runs no i386 programs")),
      .held(
        .numbering, "system calls of x32", "x32 39", "EPERM",
        control: Control().unless("ENOSYS", "this kernel runs no x32 programs")),
    ]
  #else
    private static let foreign: [Probe] = []
  #endif
}
