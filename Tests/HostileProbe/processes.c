// Other processes: tracing them, reading them, ending them.
#include "probe.h"
#include <sys/ptrace.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char marker[] = "marker";

static long sleeper(void) {
  long pid = fork();
  if (pid == 0) for (;;) pause();
  return pid;
}
// A pid, or `child` for one of our own.
static long target(const char *word) { return strcmp(word, "child") == 0 ? sleeper() : strtol(word, NULL, 10); }
static void finish(const char *word, long pid) {
  if (strcmp(word, "child")) return;
  int saved = errno;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  errno = saved;
}

static long trace(char **word, long request) {
  long pid = target(word[0]);
  long result = syscall(SYS_ptrace, request, pid, 0, 0);
  finish(word[0], pid);
  return result;
}
static long attach(char **word) { return trace(word, PTRACE_ATTACH); }
static long seize(char **word) { return trace(word, PTRACE_SEIZE); }
static long trace_me(char **word) {
  (void)word;
  // In a child: a traced process stops at its next signal.
  int pipe_ends[2], code = 0;
  if (pipe(pipe_ends) < 0) return -1;
  long pid = fork();
  if (pid == 0) {
    code = syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) < 0 ? errno : 0;
    _exit(write(pipe_ends[1], &code, sizeof code) < 0);
  }
  if (read(pipe_ends[0], &code, sizeof code) < 0) return -1;
  waitpid(pid, NULL, 0);
  errno = code;
  return code ? -1 : 0;
}

static long memory(char **word, long number) {
  long pid = target(word[0]);
  char buffer[sizeof marker] = "marker";
  struct iovec local = {buffer, sizeof buffer}, remote = {marker, sizeof marker};
  long result = syscall(number, pid, &local, 1UL, &remote, 1UL, 0UL);
  finish(word[0], pid);
  return result;
}
static long read_memory(char **word) { return memory(word, SYS_process_vm_readv); }
static long write_memory(char **word) { return memory(word, SYS_process_vm_writev); }

static long compare(char **word) {
  long pid = target(word[0]);
  long result = syscall(SYS_kcmp, getpid(), pid, 1 /* KCMP_VM */, 0, 0);
  finish(word[0], pid);
  return result;
}
static long take_descriptor(char **word) {
  long pid = target(word[0]);
  int handle = syscall(SYS_pidfd_open, pid, 0);
  long result = handle < 0 ? -1 : syscall(SYS_pidfd_getfd, handle, 0, 0);
  finish(word[0], pid);
  return result;
}
static long advise(char **word) {
  long pid = target(word[0]);
  int handle = syscall(SYS_pidfd_open, pid, 0);
  uintptr_t page = (uintptr_t)marker & ~4095UL;
  struct iovec range = {(void *)page, 4096};
  long result = handle < 0 ? -1 : syscall(SYS_process_madvise, handle, &range, 1UL, 20 /* MADV_COLD */, 0);
  finish(word[0], pid);
  return result;
}

// Signal 0 asks for the right and does nothing.
static long kill_pid(char **word) { return syscall(SYS_kill, strtol(word[0], NULL, 10), 0); }
static long kill_thread(char **word) {
  long pid = strtol(word[0], NULL, 10);
  return syscall(SYS_tgkill, pid, pid, 0);
}
static long queue_signal(char **word) {
  siginfo_t information = {.si_signo = 0, .si_code = SI_QUEUE};
  return syscall(SYS_rt_sigqueueinfo, strtol(word[0], NULL, 10), 0, &information);
}
static long kill_pidfd(char **word) {
  int handle = syscall(SYS_pidfd_open, strtol(word[0], NULL, 10), 0);
  return handle < 0 ? -1 : syscall(SYS_pidfd_send_signal, handle, 0, NULL, 0);
}
// SIGKILL, then a look whether it took. Where it ends PID 1 of our namespace, nobody is left to print anything.
static long kill_hard(char **word) {
  long pid = target(word[0]);
  if (syscall(SYS_kill, pid, SIGKILL) < 0) return -1;
  usleep(30000);
  siginfo_t information = {0};
  int gone = syscall(SYS_kill, pid, 0) < 0 ||
             (waitid(P_PID, pid, &information, WEXITED | WNOHANG) == 0 && information.si_pid == pid);
  return say(gone ? "gone" : "alive");
}

// Calls that look at or change another process; each does nothing to a process that may be asked. word: call, pid.
static long ask(char **word) {
  long pid = target(word[1]), result = -2;
  unsigned long mask[16] = {0};
  struct rlimit limit;
  int parameter;
  void *address;
  size_t length;
  errno = 0;
  if (!strcmp(word[0], "getpriority")) result = syscall(SYS_getpriority, PRIO_PROCESS, pid);
  if (!strcmp(word[0], "setpriority")) result = syscall(SYS_setpriority, PRIO_PROCESS, pid, 0);
  if (!strcmp(word[0], "sched_getaffinity")) result = syscall(SYS_sched_getaffinity, pid, sizeof mask, mask);
  if (!strcmp(word[0], "sched_setaffinity")) {
    // As ours, so as nothing at all.
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    result = syscall(SYS_sched_setaffinity, pid, size, mask);
  }
  if (!strcmp(word[0], "sched_getparam")) result = syscall(SYS_sched_getparam, pid, &parameter);
  if (!strcmp(word[0], "prlimit")) result = syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit);
  if (!strcmp(word[0], "getsid")) result = syscall(SYS_getsid, pid);
  if (!strcmp(word[0], "getpgid")) result = syscall(SYS_getpgid, pid);
  if (!strcmp(word[0], "ioprio_get")) result = syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, pid);
  if (!strcmp(word[0], "get_robust_list")) result = syscall(SYS_get_robust_list, pid, &address, &length);
  if (!strcmp(word[0], "move_pages")) result = syscall(SYS_move_pages, pid, 0UL, NULL, NULL, NULL, 0);
  if (!strcmp(word[0], "kill-group")) result = syscall(SYS_kill, -pid, 0);
  if (!strcmp(word[0], "tkill")) result = syscall(SYS_tkill, pid, 0);
  if (!strcmp(word[0], "pidfd_open")) result = syscall(SYS_pidfd_open, pid, 0);
  if (!strcmp(word[0], "own-signals")) {
    int ends[2];
    result = pipe(ends) < 0 ? -1 : syscall(SYS_fcntl, ends[0], F_SETOWN, pid);
  }
  finish(word[1], pid);
  return result == -2 ? say("no such call") : result;
}
// Every signal there is, to PID 1 of our namespace.
static long every_signal(char **word) {
  long pid = target(word[0]);
  for (int number = 1; number <= 64; number++)
    if (number != SIGCONT) syscall(SYS_kill, pid, number);
  usleep(30000);
  siginfo_t information = {0};
  int ended = strcmp(word[0], "child") == 0 && waitid(P_PID, pid, &information, WEXITED | WNOHANG) == 0 && information.si_pid == pid;
  return say(ended ? "gone" : "alive");
}
// A process of a session of its own, which nobody waits for. word: something to find it by.
static long outlive(char **word) {
  (void)word;
  int ready[2];
  char byte;
  if (pipe(ready) < 0) return -1;
  long pid = fork();
  if (pid == 0) {
    setsid();
    if (fork() == 0) {
      for (int number = 1; number < 64; number++) signal(number, SIG_IGN);
      for (int number = 0; number < 3; number++) close(number);
      if (write(ready[1], "x", 1) < 0) _exit(1);
      sleep(20);
    }
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  return read(ready[0], &byte, 1) == 1 ? 0 : -1;
}

static long be_forked(char **word) {
  (void)word;
  long pid = sleeper();
  if (pid < 0) return -1;
  finish("child", pid);
  return 0;
}

const struct act process_acts[] = {
    {"ptrace-attach", attach},   {"ptrace-seize", seize},       {"ptrace-traceme", trace_me},
    {"process_vm_readv", read_memory}, {"process_vm_writev", write_memory}, {"kcmp", compare},
    {"pidfd_getfd", take_descriptor}, {"process_madvise", advise}, {"kill", kill_pid},
    {"tgkill", kill_thread},     {"rt_sigqueueinfo", queue_signal}, {"pidfd_send_signal", kill_pidfd},
    {"ask", ask},                {"every-signal", every_signal}, {"outlive", outlive},
    {"kill-hard", kill_hard},    {"fork", be_forked},           {NULL, NULL},
};
