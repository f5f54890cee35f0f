extension Probe {
  static let processes: [Probe] = [
    .held(.processes, "trace PID 1", "ptrace-attach 1", "EPERM", control: .acting("ptrace-attach child")),
    .held(.processes, "seize PID 1", "ptrace-seize 1", "EPERM", control: asideWithInit),
    .held(.processes, "trace a child", "ptrace-attach child", "EPERM"),
    .held(.processes, "seize a child", "ptrace-seize child", "EPERM"),
    .held(.processes, "be traced", "ptrace-traceme", "EPERM"),
    .held(.processes, "read a child's memory", "process_vm_readv child", "EPERM"),
    .held(.processes, "write a child's memory", "process_vm_writev child", "EPERM"),
    .held(.processes, "compare itself with a child", "kcmp child", "EPERM"),
    .held(.processes, "take a child's descriptor", "pidfd_getfd child", "EPERM"),
    .held(.processes, "advise on a child's memory", "process_madvise child", "EPERM"),
    .held(.processes, "signal everybody", "kill -1", "ESRCH"),
    .held(.processes, "signal a host process", "kill {stander-pid}", "ESRCH"),
    .held(.processes, "signal the supervisor", "kill {supervisor-pid}", "ESRCH"),
    .held(.processes, "signal another sandbox", "kill {neighbour-pid}", "ESRCH"),
    .held(.processes, "signal a host thread", "tgkill {stander-pid}", "ESRCH"),
    .held(
      .processes, "queue a signal for a host process", "rt_sigqueueinfo {stander-pid}", "ESRCH",
      // SI_QUEUE for another process is refused unless it is from that process's own: still, it was found.
      control: .init(outside: ["ok", "EPERM"])),
    .held(.processes, "open a host process", "pidfd_send_signal {stander-pid}", "ESRCH", "EINVAL"),
    .held(
      .processes, "end PID 1 of its namespace", "kill-hard 1", "alive",
      control: .init(act: ["kill-hard", "child"], outside: ["gone"])),
  ]

  static let identity: [Probe] = [
    .held(.identity, "setuid to root", "setuid", "EPERM"),
    .held(.identity, "setgid to root", "setgid", "EPERM"),
    .held(.identity, "setresuid to another of its range", "setresuid", "EPERM"),
    .held(.identity, "setgroups", "setgroups", "EPERM"),
    .held(.identity, "raise a capability", "capset", "EPERM"),
    .held(.identity, "raise an ambient capability", "ambient", "EPERM"),
    .held(.identity, "loosen securebits", "securebits", "EPERM"),
    .held(
      .identity, "supplementary groups", "groups", "none",
      control: .init(script: #"exec setpriv --groups 5 "$@""#, outside: ["some"])),
    .held(.identity, "any capability in five sets", "capabilities", "none", control: .answers("some")),
    .held(.identity, "life without no_new_privs", "no_new_privs", "set", control: .answers("not set")),
    .held(.identity, "life without a filter", "seccomp-mode", "filter", control: .answers("none")),
    .held(
      .identity, "the rights of a setuid program", "run-setuid /usr/bin/mount", "our own rights",
      control: .init(
        script: #"exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@""#,
        act: ["run-setuid", "/usr/bin/mount"],
        outside: ["its owner's rights"]
      ).unless("not setuid", "mount(8) isn't setuid here")),
    .held(.identity, "a higher priority", "setpriority -5", "EACCES"),
    .held(.identity, "real-time scheduling", "sched_setscheduler", "EPERM"),
  ]

  static let leaks: [Probe] = [
    .held(.leaks, "reading from its output", "open /proc/self/fd/1", "EACCES"),
    .held(
      .leaks, "writing to its input", "write /proc/self/fd/0 x", "EPERM", "EACCES"),
    .held(
      .leaks, "an open descriptor besides 0, 1, 2", "descriptors any 4096", "0 1 2",
      // The tests' own process may hold more, above these.
      control: .init(
        script: #"exec 3</etc 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; exec "$@""#, act: ["descriptors", "any", "10"],
        outside: ["0 1 2 3"])),
    .held(
      .leaks, "an open directory (CVE-2024-21626)", "descriptors directory 4096", "none",
      control: .init(script: #"exec 3</etc; exec "$@""#, act: ["descriptors", "directory", "10"], outside: ["3"])),
    .held(
      .leaks, "a working directory outside the root", "working-directory", "/workspace",
      control: .init(script: #"cd /etc; exec "$@""#, outside: ["/etc"])),
    .held(
      .leaks, "the supervisor's environment", "environment", "HOME LANG PATH TERM TMPDIR",
      control: .init(script: #"exec env -u PWD -u OLDPWD -u _ "$@""#, outside: ["HOSTILE_SECRET PATH"])),
  ]

  static let working: [Probe] = [
    .works("write its workspace", "use-directory /workspace"),
    .works("write /tmp", "use-directory /tmp"),
    .works("write /dev/shm", "use-directory /dev/shm"),
    .works("hand out a result", "use-directory /run/agent/out"),
    .works("start a process", "fork"),
    .works("start threads", "threads"),
    .works("put up a further filter of its own", "seccomp"),
    .works("read the host's programs", "read /usr/bin/env", "content"),
    .works("ask its own gateway listener", "hear 198.18.0.1 9000", "hello"),
    .works("read its own files", "read /run/agent/probe", "content"),
  ]
}
