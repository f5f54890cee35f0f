import Sandbox

extension Probe {
  static let processes: [Probe] = [
    .held(.processes, "trace PID 1", "ptrace-attach 1", "EPERM", control: .acting("ptrace-attach child")),
    .held(.processes, "seize PID 1", "ptrace-seize 1", "EPERM", control: .withInit()),
    .held(.processes, "trace a child", "ptrace-attach child", "EPERM"),
    .held(.processes, "seize a child", "ptrace-seize child", "EPERM"),
    .held(.processes, "be traced", "ptrace-traceme", "EPERM"),
    .held(.processes, "read a child's memory", "process_vm_readv child", "EPERM"),
    .held(.processes, "write a child's memory", "process_vm_writev child", "EPERM"),
    .held(.processes, "compare itself with a child", "kcmp child", "EPERM"),
    .held(.processes, "take a child's descriptor", "pidfd_getfd child", "EPERM"),
    .held(.processes, "advise on a child's memory", "process_madvise child", "EPERM"),
    .held(
      .processes, "read a host process's memory", "process_vm_readv {stander-pid}", "EPERM",
      control: .acting("process_vm_readv child")),
    .held(
      .processes, "free a process's memory", "process_mrelease", "EPERM",
      control: Control.answers("EINVAL").unless("ENOSYS", "this kernel has no process_mrelease")),
    .held(
      .processes, "move a child's memory between nodes", "ask move_pages child", "EPERM",
      control: Control().unless("ENOSYS", "this kernel has no move_pages")),
    .held(.processes, "signal everybody", "kill -1", "ESRCH"),
    .held(.processes, "signal a host process", "kill {stander-pid}", "ESRCH"),
    .held(.processes, "signal the supervisor", "kill {supervisor-pid}", "ESRCH"),
    .held(.processes, "signal another sandbox", "kill {neighbour-pid}", "ESRCH"),
    .held(.processes, "signal a host thread", "tgkill {stander-pid}", "ESRCH"),
    .held(
      .processes, "queue a signal for a host process", "rt_sigqueueinfo {stander-pid}", "ESRCH",
      control: .init(outside: ["ok"])),
    .held(.processes, "open a host process", "pidfd_send_signal {stander-pid}", "ESRCH", "EINVAL"),
    .held(.processes, "signal a host process's group", "ask kill-group {stander-group}", "ESRCH"),
    .held(.processes, "signal a host thread the old way", "ask tkill {stander-pid}", "ESRCH"),
    .held(.processes, "signals of a pipe for a host process", "ask own-signals {stander-pid}", "ESRCH"),
    .held(.processes, "a handle of a host process", "ask pidfd_open {stander-pid}", "ESRCH"),
    .held(.processes, "a handle of the supervisor", "ask pidfd_open {supervisor-pid}", "ESRCH"),
    .held(.processes, "a host process's priority", "ask getpriority {stander-pid}", "ESRCH"),
    .held(.processes, "another priority for a host process", "ask setpriority {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's processors", "ask sched_getaffinity {stander-pid}", "ESRCH"),
    .held(.processes, "other processors for a host process", "ask sched_setaffinity {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's scheduling", "ask sched_getparam {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's limits", "ask prlimit {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's session", "ask getsid {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's group", "ask getpgid {stander-pid}", "ESRCH"),
    .held(.processes, "a host process's class of input and output", "ask ioprio_get {stander-pid}", "ESRCH"),
    .held(
      .processes, "a host process's locks", "ask get_robust_list {stander-pid}", "ESRCH",
      control: Control().unless("EPERM", "this machine's root has no CAP_SYS_PTRACE")),
    .held(
      .processes, "end PID 1 by any signal", "every-signal 1", "alive",
      control: .init(act: ["every-signal", "child"], outside: ["gone"])),
    .held(
      .processes, "live on after its end", "outlive {unique}", "none", control: .answers("survived")
    ).with { $0.witness = .survivors },
    .held(
      .processes, "end PID 1 of its namespace", "kill-hard 1", "alive",
      control: .init(act: ["kill-hard", "child"], outside: ["gone"])),
  ]

  static let credentials: [Probe] = [
    .held(.credentials, "setuid to root", "setuid", "EPERM"),
    .held(.credentials, "setgid to root", "setgid", "EPERM"),
    .held(.credentials, "setresuid to another of its range", "setresuid", "EPERM"),
    .held(.credentials, "setreuid to root", "setreuid", "EPERM"),
    .held(.credentials, "setregid to root", "setregid", "EPERM"),
    .held(.credentials, "setresgid to another of its range", "setresgid", "EPERM"),
    .held(.credentials, "files of another user (setfsuid)", "setfsuid", "the same", control: .answers("another")),
    .held(.credentials, "keep capabilities over a change of user", "keepcaps", "EPERM"),
    .held(.credentials, "a capability that a program could give it", "bounding", "none", control: .answers("some")),
    .held(
      .credentials, "host's root behind one of its user ids", "user-map /proc/self/uid_map", "a range of its own",
      control: .answers("the host's root")),
    .held(
      .credentials, "host's root behind one of its group ids", "user-map /proc/self/gid_map", "a range of its own",
      control: .answers("the host's root")),
    .held(.credentials, "first-in-first-out scheduling", "sched_setattr 1", "EPERM"),
    .held(
      .credentials, "deadline scheduling", "sched_setattr 6", "EPERM",
      control: Control().unless("EPERM", "this machine's root has no CAP_SYS_NICE").unless(
        "EBUSY", "no bandwidth left here")),
    .held(.credentials, "real-time input and output", "ioprio_set", "EPERM"),
    .held(.credentials, "setgroups", "setgroups", "EPERM"),
    .held(.credentials, "raise a capability", "capset", "EPERM"),
    .held(.credentials, "raise an ambient capability", "ambient", "EPERM"),
    .held(.credentials, "loosen securebits", "securebits", "EPERM"),
    .held(
      .credentials, "supplementary groups", "groups", "none",
      control: .init(script: #"exec setpriv --groups 5 "$@""#, outside: ["some"])),
    .held(.credentials, "any capability in five sets", "capabilities", "none", control: .answers("some")),
    .held(.credentials, "life without no_new_privs", "no_new_privs", "set", control: .answers("not set")),
    .held(.credentials, "life without a filter", "seccomp-mode", "filter", control: .answers("none")),
    .held(
      .credentials, "the rights of a setuid program", "run-setuid /usr/bin/mount", "our own rights",
      control: .init(
        script: #"exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@""#,
        act: ["run-setuid", "/usr/bin/mount"],
        outside: ["its owner's rights"]
      ).unless("not setuid", "mount(8) isn't setuid here")),
    .held(.credentials, "a higher priority", "setpriority -5", "EACCES"),
    .held(.credentials, "real-time scheduling", "sched_setscheduler", "EPERM"),
  ]
}
