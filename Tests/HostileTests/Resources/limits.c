// How much a program can take.
#include "probe.h"
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

// word: resource, new limit, soft and hard.
static long set_limit(char **word) {
  struct rlimit limit = {strtoul(word[1], NULL, 0), strtoul(word[1], NULL, 0)};
  return syscall(SYS_prlimit64, 0, atoi(word[0]), &limit, NULL);
}
static long show_limit(char **word) {
  struct rlimit limit;
  if (syscall(SYS_prlimit64, 0, atoi(word[0]), NULL, &limit) < 0) return -1;
  char line[64];
  snprintf(line, sizeof line, "%ld %ld", (long)limit.rlim_cur, (long)limit.rlim_max);
  return say(line);
}
// Sets a limit and shows what it is then. word: resource (of any width), new limit, and `old` for setrlimit(2).
static long try_limit(char **word) {
  struct rlimit limit = {strtoul(word[1], NULL, 0), strtoul(word[1], NULL, 0)};
  unsigned long resource = strtoul(word[0], NULL, 0);
  char number[16];
  snprintf(number, sizeof number, "%d", (int)resource);
  if (word[2]) syscall(SYS_setrlimit, resource, &limit);
  else syscall(SYS_prlimit64, 0UL, resource, &limit, NULL);
  char *shown[] = {number};
  return show_limit(shown);
}

// Ends all of them again, whatever came.
static long fork_many(char **word) {
  enum { MOST = 1000 };
  long children[MOST], result = 0;
  int count = 0, wanted = atoi(word[0]), code = 0;
  while (count < wanted && count < MOST) {
    result = fork();
    if (result == 0) for (;;) pause();
    if (result < 0) { code = errno; break; }
    children[count++] = result;
  }
  for (int i = 0; i < count; i++) kill(children[i], SIGKILL);
  for (int i = 0; i < count; i++) waitpid(children[i], NULL, 0);
  errno = code;
  return result;
}

// word: directory, MiB.
static long fill(char **word) {
  char path[4096];
  snprintf(path, sizeof path, "%s/probe-fill", word[0]);
  signal(SIGXFSZ, SIG_IGN);
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0) return -1;
  long result = syscall(SYS_fallocate, file, 0, 0L, atol(word[1]) << 20);
  int code = errno;
  unlink(path);
  errno = code;
  return result;
}

// word: directory, number of files.
static long many_files(char **word) {
  char path[4096];
  long result = 0, count = 0, wanted = atol(word[1]);
  int code = 0;
  for (; count < wanted; count++) {
    snprintf(path, sizeof path, "%s/probe-%ld", word[0], count);
    result = syscall(SYS_mknodat, AT_FDCWD, path, S_IFREG | 0600, 0);
    if (result < 0) { code = errno; break; }
  }
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/probe-%ld", word[0], i);
    unlink(path);
  }
  errno = code;
  return result;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
// The names in a directory.
static long names(char **word) {
  DIR *directory = opendir(word[0]);
  if (!directory) return -1;
  char *found[256], line[4096] = "";
  int count = 0;
  for (struct dirent *entry; count < 256 && (entry = readdir(directory));)
    if (entry->d_name[0] != '.') found[count++] = strdup(entry->d_name);
  qsort(found, count, sizeof *found, by_name);
  for (int i = 0; i < count; i++)
    snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", i ? " " : "", found[i]);
  return say(line);
}

const struct act limit_acts[] = {
    {"rlimit", set_limit}, {"show-limit", show_limit}, {"try-limit", try_limit}, {"fork-many", fork_many}, {"fill", fill},
    {"many-files", many_files}, {"names", names}, {NULL, NULL},
};
