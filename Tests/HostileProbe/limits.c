// How much a program can take.
#include "probe.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

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

// Every child forks on, as long as it can. word: how many at most there may be, for where nothing else ends it.
static long fork_bomb(char **word) {
  // A session of its own, so that its end can be brought to all of it.
  struct bomb { int count, refused; } *bomb = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int most = atoi(word[0]);
  long first = fork();
  if (first < 0) return -1;
  if (first == 0) {
    setsid();
    while (__atomic_load_n(&bomb->count, __ATOMIC_RELAXED) < most && !bomb->refused) {
      long pid = fork();
      if (pid < 0) bomb->refused = errno;
      if (pid >= 0) __atomic_add_fetch(&bomb->count, pid == 0, __ATOMIC_RELAXED);
    }
    for (;;) pause();
  }
  for (int i = 0; i < 1000 && !bomb->refused && __atomic_load_n(&bomb->count, __ATOMIC_RELAXED) < most; i++) usleep(5000);
  errno = bomb->refused;
  int code = errno;
  // A round can miss one that is being born.
  for (int round = 0; round < 50 && kill(-first, SIGKILL) == 0; round++) usleep(1000);
  waitpid(first, NULL, 0);
  errno = code;
  return code ? -1 : bomb->count >= most ? 0 : say("slow");
}

static void *wait_for_ever(void *value) { for (;;) pause(); return value; }
static long thread_many(char **word) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (int i = 0; i < atoi(word[0]); i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, &small, wait_for_ever, NULL))) return -1;
  }
  return 0;
}
// word: how many.
static long open_many(char **word) {
  long result = 0;
  for (int i = 0; i < atoi(word[0]) && result >= 0; i++) result = syscall(SYS_dup, 1);
  return result;
}
// Touches every page. word: MiB.
static long eat_memory(char **word) {
  size_t size = (size_t)atol(word[0]) << 20;
  char *range = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (range == MAP_FAILED) return -1;
  for (size_t at = 0; at < size; at += 4096) range[at] = 1;
  return 0;
}
// The same with pages of a file that lives in memory. word: directory, MiB.
static long eat_files(char **word) {
  char path[4096];
  static char block[1 << 20];
  snprintf(path, sizeof path, "%s/probe-eaten-%d", word[0], getpid());
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0) return -1;
  unlink(path);
  for (long i = 0; i < atol(word[1]); i++)
    if (write(file, block, sizeof block) < 0) return -1;
  return 0;
}
// Two processes that never rest. word: milliseconds. Whether they had clearly more than one core's time.
static long spin(char **word) {
  struct timespec from, now, used;
  long wall = 0, total = 0, wanted = atol(word[0]);
  int ends[2];
  if (pipe(ends) < 0) return -1;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < 2; i++) {
    long pid = fork();
    if (pid < 0) return -1;
    if (pid == 0) {
      do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        wall = (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
      } while (wall < wanted);
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
      long spent = used.tv_sec * 1000 + used.tv_nsec / 1000000;
      _exit(write(ends[1], &spent, sizeof spent) < 0);
    }
  }
  for (int i = 0; i < 2; i++) {
    long spent = 0;
    if (read(ends[0], &spent, sizeof spent) != sizeof spent) return -1;
    total += spent;
    waitpid(-1, NULL, 0);
  }
  return say(total * 10 > wanted * 7 ? "as much as it likes" : "what it was given");
}
// Never rests and never ends by itself, whatever it is asked by. word: seconds, for where nothing else ends it.
static long stay(char **word) {
  struct timespec from, now;
  for (int number = 1; number < 64; number++) signal(number, SIG_IGN);
  clock_gettime(CLOCK_MONOTONIC, &from);
  do clock_gettime(CLOCK_MONOTONIC, &now); while (now.tv_sec - from.tv_sec < atol(word[0]));
  return 0;
}
// Writes and writes. word: MiB.
static long flood(char **word) {
  static char block[65536];
  memset(block, 'x', sizeof block);
  block[sizeof block - 1] = '\n';
  for (long i = 0; i < atol(word[0]) * 16; i++)
    if (write(1, block, sizeof block) < 0) return -1;
  return say("end");
}
// Starts a program with this much behind its name. word: MiB, and `environment` for variables instead of arguments.
static long large_start(char **word) {
  enum { PIECE = 100000 };
  long pieces = (atol(word[0]) << 20) / PIECE + 1;
  char **list = calloc(pieces + 2, sizeof *list), *piece = malloc(PIECE), *none[] = {NULL};
  if (!list || !piece) return -1;
  memset(piece, 'x', PIECE);
  piece[PIECE - 1] = 0;
  for (long i = 0; i < pieces; i++) list[i] = piece;
  struct report to;
  long pid = begin(&to);
  if (pid == 0) {
    fcntl(to.ends[1], F_SETFD, FD_CLOEXEC);
    close(to.ends[0]);
    close(1);
    syscall(SYS_execve, "/usr/bin/true", word[1] ? none : list, word[1] ? list : none);
    report(&to, errno);
  }
  // The program's start closes the last end.
  return outcome(&to, pid);
}
// A pipe that holds more than the kernel lets everybody have. word: bytes.
static long large_pipe(char **word) {
  int ends[2];
  return pipe(ends) < 0 ? -1 : syscall(SYS_fcntl, ends[0], F_SETPIPE_SZ, atol(word[0]));
}

static long write_blocks(int file, long count) {
  static char block[1 << 20];
  long result = 0;
  for (long i = 0; i < count && result >= 0; i++) result = write(file, block, sizeof block);
  // What is left of the room may be less than a block: the next byte tells why.
  return result < 0 ? result : write(file, block, 1);
}

// word: directory, MiB.
static long fill(char **word) {
  char path[4096];
  // Probes run at the same time, and their controls in one directory of the host.
  snprintf(path, sizeof path, "%s/probe-fill-%d", word[0], getpid());
  signal(SIGXFSZ, SIG_IGN);
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0) return -1;
  unlink(path);
  long result = syscall(SYS_fallocate, file, 0, 0L, atol(word[1]) << 20);
  // Where a filter has no fallocate(2), every byte must be written.
  if (result < 0 && errno == EPERM) result = write_blocks(file, atol(word[1]));
  int code = errno;
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
    result = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (result < 0) { code = errno; break; }
    close(result);
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
    {"many-files", many_files}, {"names", names}, {"fork-bomb", fork_bomb}, {"thread-many", thread_many},
    {"open-many", open_many}, {"eat-memory", eat_memory}, {"eat-files", eat_files}, {"spin", spin}, {"stay", stay},
    {"flood", flood}, {"large-start", large_start}, {"large-pipe", large_pipe}, {NULL, NULL},
};
