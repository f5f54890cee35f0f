// What a sandbox could know of the world outside without being told.
#include "probe.h"
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/utsname.h>

// word: kind, inode number of the host's.
static long namespace_is(char **word) {
  char path[64], target[64] = "";
  snprintf(path, sizeof path, "/proc/self/ns/%s", word[0]);
  if (syscall(SYS_readlinkat, AT_FDCWD, path, target, sizeof target - 1) < 0) return -1;
  char *number = strchr(target, '[');
  return say(number && strtoul(number + 1, NULL, 10) == strtoul(word[1], NULL, 10) ? "the host's" : "its own");
}

// Whether root outside is anybody here.
static long user_map(char **word) {
  FILE *file = fopen(word[0], "re");
  if (!file) return -1;
  unsigned long inside, outside, count;
  int root = 0, lines = 0;
  while (fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3) { lines++; root |= outside == 0; }
  fclose(file);
  return say(!lines ? "nobody" : root ? "the host's root" : "a range of its own");
}

// Whether a place in the host's tree of control groups shows.
static long group_path(char **word) {
  (void)word;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (!file) return -1;
  char line[4096];
  int shown = 0;
  while (fgets(line, sizeof line, file)) {
    char *path = strchr(line, '/');
    shown |= path && strcmp(path, "/\n") != 0;
  }
  fclose(file);
  return say(shown ? "its place" : "/");
}

// word: the host's name.
static long host_name(char **word) {
  struct utsname name;
  if (uname(&name) < 0) return -1;
  return say(strcmp(name.nodename, word[0]) == 0 ? "the host's" : "its own");
}

// Memory that somebody shares under a number. word: the number.
static long shared_memory(char **word) { return syscall(SYS_shmget, atoi(word[0]), 0UL, 0); }

// Signals blocked or ignored by whoever started us.
static long signal_state(char **word) {
  (void)word;
  FILE *status = fopen("/proc/self/status", "re");
  if (!status) return -1;
  char line[256];
  unsigned long set, all = 0;
  while (fgets(line, sizeof line, status))
    if (sscanf(line, "SigBlk: %lx", &set) == 1 || sscanf(line, "SigIgn: %lx", &set) == 1) all |= set;
  fclose(status);
  // 32 and 33 are glibc's own: its posix_spawn(3) has every child ignore them.
  all &= ~(3UL << 31);
  return say(all ? "inherited" : "clean");
}

// Nice value, scheduling policy, and how early the kernel would end us for memory.
static long standing(char **word) {
  (void)word;
  char text[16] = "", line[64];
  int file = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  if (file < 0 || read(file, text, sizeof text - 1) < 0) return -1;
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, 0);
  long policy = syscall(SYS_sched_getscheduler, 0);
  if (policy < 0 || errno) return -1;
  snprintf(line, sizeof line, "%d %ld %d", nice, policy, atoi(text));
  return say(line);
}

static long parent(char **word) {
  (void)word;
  return say(getppid() == 1 ? "PID 1" : "another");
}

static long file_mask(char **word) {
  (void)word;
  char line[16];
  snprintf(line, sizeof line, "%03o", umask(077));
  return say(line);
}

const struct act leak_acts[] = {
    {"namespace-is", namespace_is}, {"user-map", user_map},         {"group-path", group_path},
    {"host-name", host_name},       {"shared-memory", shared_memory}, {"signal-state", signal_state},
    {"standing", standing},         {"parent", parent},             {"file-mask", file_mask}, {NULL, NULL},
};
