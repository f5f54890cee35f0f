// Who we are and what we were given: ids, capabilities, limits, descriptors, environment.
#include "probe.h"
#include <dirent.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ACT(name, expression) \
  static long name(char **word) { (void)word; return (expression); }

static const char *environment_names(void) {
  static char line[4096];
  extern char **environ;
  const char *names[256];
  int count = 0;
  for (char **entry = environ; *entry && count < 256; entry++) names[count++] = *entry;
  for (int i = 0; i < count; i++)
    for (int j = i + 1; j < count; j++)
      if (strcmp(names[i], names[j]) > 0) { const char *swap = names[i]; names[i] = names[j]; names[j] = swap; }
  for (int i = 0; i < count; i++)
    snprintf(line + strlen(line), sizeof line - strlen(line), "%s%.*s", i ? " " : "", (int)strcspn(names[i], "="), names[i]);
  return line;
}

ACT(set_user, syscall(SYS_setuid, 0))
ACT(set_group, syscall(SYS_setgid, 0))
ACT(set_user_other, syscall(SYS_setresuid, 1, 1, 1))
static long set_groups(char **word) {
  (void)word;
  gid_t root = 0;
  return syscall(SYS_setgroups, 1, &root);
}
static long raise_to(int ambient) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{0}};
  sets[0].effective = sets[0].permitted = sets[0].inheritable = 1 << CAP_NET_RAW;
  long result = syscall(SYS_capset, &header, sets);
  return ambient ? syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) : result;
}
ACT(raise_capability, raise_to(0))
ACT(raise_ambient, raise_to(1))
ACT(set_user_real, syscall(SYS_setreuid, 0, 0))
ACT(set_group_real, syscall(SYS_setregid, 0, 0))
ACT(set_group_other, syscall(SYS_setresgid, 1, 1, 1))
// setfsuid never fails: it tells who one was, so it is asked twice.
static long file_user(char **word) {
  (void)word;
  long before = syscall(SYS_setfsuid, 1);
  if (before < 0) return -1;
  return say(syscall(SYS_setfsuid, -1) == before ? "the same" : "another");
}
ACT(keep_capabilities, syscall(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0))
ACT(gain_privileges, syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
// How many capabilities a program that is started could ever have.
static long bounding(char **word) {
  (void)word;
  int count = 0;
  if (syscall(SYS_prctl, PR_CAPBSET_READ, 0, 0, 0, 0) < 0) return -1;
  for (int number = 0; number < 64; number++) count += syscall(SYS_prctl, PR_CAPBSET_READ, number, 0, 0, 0) == 1;
  return say(count ? "some" : "none");
}
ACT(set_securebits, syscall(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0))
static long no_new_privileges(char **word) {
  (void)word;
  long set = syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  return set < 0 ? -1 : say(set == 1 ? "set" : "not set");
}
static long seccomp_mode(char **word) {
  (void)word;
  long mode = syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
  return mode < 0 ? -1 : say(mode == 2 ? "filter" : "none");
}
static long capabilities(char **word) {
  (void)word;
  FILE *status = fopen("/proc/self/status", "r");
  if (!status) return -1;
  char line[256];
  unsigned long all = 0, sets = 0, set;
  while (fgets(line, sizeof line, status))
    if (sscanf(line, "Cap%*[A-Za-z]: %lx", &set) == 1) { all |= set; sets++; }
  fclose(status);
  return say(sets != 5 ? "unreadable" : all ? "some" : "none");
}

static long groups(char **word) {
  (void)word;
  gid_t list[64];
  long count = syscall(SYS_getgroups, 64, list);
  return count < 0 ? -1 : say(count ? "some" : "none");
}
// A policy that comes before every ordinary process. word: policy of sched_setattr(2).
static long attribute(char **word) {
  struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; }
      wanted = {48, atoi(word[0]), 0, 0, atoi(word[0]) == 1, 1000000, 10000000, 10000000};
  return syscall(SYS_sched_setattr, 0, &wanted, 0);
}
// The most pressing class of input and output.
ACT(real_time_io, syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 1 << 13 /* IOPRIO_CLASS_RT */))
static long lock_everything(char **word) {
  (void)word;
  static char large[4 << 20];
  large[0] = 1;
  return syscall(SYS_mlockall, 1 /* MCL_CURRENT */);
}
static long priority(char **word) { return syscall(SYS_setpriority, PRIO_PROCESS, 0, atoi(word[0])); }
static long real_time(char **word) {
  (void)word;
  struct sched_param { int priority; } parameter = {1};
  return syscall(SYS_sched_setscheduler, 0, 1 /* SCHED_FIFO */, &parameter);
}
static long lock_memory(char **word) {
  (void)word;
  void *range = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return syscall(SYS_mlock, range, 1UL << 20);
}

// word: kind (any or directory), and below which number.
static long descriptors(char **word) {
  char line[1024] = "";
  for (int number = 0; number < atoi(word[1]); number++) {
    struct stat status;
    if (fstat(number, &status) < 0) continue;
    if (strcmp(word[0], "directory") == 0 && !S_ISDIR(status.st_mode)) continue;
    snprintf(line + strlen(line), sizeof line - strlen(line), "%s%d", *line ? " " : "", number);
  }
  return say(*line ? line : "none");
}
static long environment(char **word) {
  (void)word;
  return say(environment_names());
}
static long working_directory(char **word) {
  (void)word;
  char path[4096];
  // A directory outside the root shows as "(unreachable)…".
  return syscall(SYS_getcwd, path, sizeof path) < 0 ? -1 : say(path);
}

// Starts the host's setuid mount(8), which blocks on its full standard output, and looks whose rights it has.
static long run_setuid(char **word) {
  struct stat status;
  if (stat(word[0], &status) < 0 || !(status.st_mode & S_ISUID)) return say("not setuid");
  int output[2], started[2];
  if (pipe2(output, O_NONBLOCK) < 0 || pipe2(started, O_CLOEXEC) < 0) return -1;
  char page[4096] = "";
  while (write(output[1], page, sizeof page) > 0) {}
  fcntl(output[1], F_SETFL, 0);
  long pid = fork();
  if (pid == 0) {
    dup2(output[1], 1);
    execl(word[0], word[0], (char *)NULL);
    _exit(127);
  }
  close(started[1]);
  if (read(started[0], page, 1) != 0) return -1;  // Its end is the exec.
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%ld/status", pid);
  FILE *file = fopen(path, "r");
  unsigned real = 0, effective = 0;
  while (file && fgets(line, sizeof line, file)) sscanf(line, "Uid: %u %u", &real, &effective);
  kill(pid, SIGKILL);
  close(output[0]);
  waitpid(pid, NULL, 0);
  return say(!file ? "unreadable" : real == effective ? "our own rights" : "its owner's rights");
}

static void *thread_body(void *value) { return value; }
static long start_threads(char **word) {
  (void)word;
  pthread_t threads[8];
  for (int i = 0; i < 8; i++)
    if ((errno = pthread_create(&threads[i], NULL, thread_body, NULL))) return -1;
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  return 0;
}
// A program may give up more by itself.
static long own_filter(char **word) {
  (void)word;
  struct sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {1, allow_all};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

const struct act identity_acts[] = {
    {"setuid", set_user},        {"setgid", set_group},       {"setresuid", set_user_other},
    {"setgroups", set_groups},   {"capset", raise_capability}, {"ambient", raise_ambient},
    {"securebits", set_securebits}, {"no_new_privs", no_new_privileges}, {"seccomp-mode", seccomp_mode},
    {"capabilities", capabilities}, {"groups", groups}, {"setpriority", priority},
    {"sched_setscheduler", real_time}, {"mlock", lock_memory}, {"descriptors", descriptors},
    {"environment", environment}, {"working-directory", working_directory}, {"run-setuid", run_setuid},
    {"setreuid", set_user_real}, {"setregid", set_group_real}, {"setresgid", set_group_other},
    {"setfsuid", file_user},     {"keepcaps", keep_capabilities}, {"new_privs", gain_privileges},
    {"bounding", bounding},      {"sched_setattr", attribute}, {"ioprio_set", real_time_io},
    {"mlockall", lock_everything},
    {"threads", start_threads},  {"seccomp", own_filter},     {NULL, NULL},
};
