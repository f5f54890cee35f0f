// System calls by number, each in a child of its own: what a filter says to it, or whether it came through.
#include "probe.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

// What a call came to besides an errno. Both mean that no filter stopped it.
enum { ENDED = 100000, BLOCKED };

// As raw as can be, and in the caller's own frame: after a vfork the child must not return from a function that its
// parent is still in.
#define HERE static inline __attribute__((always_inline))

#if defined(__x86_64__)
HERE long native(const unsigned long *of) {
  long result;
  register unsigned long r10 __asm__("r10") = of[4], r8 __asm__("r8") = of[5], r9 __asm__("r9") = of[6];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(of[0]), "D"(of[1]), "S"(of[2]), "d"(of[3]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
// i386's way in, which the kernel serves to programs of this architecture too.
HERE long interrupt(const unsigned long *of) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(of[0]), "b"(of[1]), "c"(of[2]), "d"(of[3]), "S"(of[4]), "D"(of[5])
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#else
HERE long native(const unsigned long *of) {
  register unsigned long x8 __asm__("x8") = of[0], x0 __asm__("x0") = of[1], x1 __asm__("x1") = of[2],
      x2 __asm__("x2") = of[3], x3 __asm__("x3") = of[4], x4 __asm__("x4") = of[5], x5 __asm__("x5") = of[6];
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
HERE long interrupt(const unsigned long *of) { (void)of; return -ENOSYS; }
#endif

// The errno, 0 for anything else that came back, or one of the two above.
static long in_child(char kind, const unsigned long *of, volatile long *slot) {
  int ends[2];
  if (pipe(ends) < 0) return -1;
  *slot = ENDED;
  long pid = fork();
  if (pid < 0) return -1;
  if (pid == 0) {
    long result = kind == 'i' ? interrupt(of) : native(of);
    // A fork of the call's own comes here too, and says the same.
    *slot = result < 0 && result > -4096 ? -result : 0;
    syscall(SYS_exit_group, 0);
  }
  close(ends[1]);
  // Its end closes the pipe.
  struct pollfd waiting = {ends[0], POLLIN, 0};
  if (poll(&waiting, 1, 1000) == 0) *slot = BLOCKED;
  close(ends[0]);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  return *slot;
}

// Lines of standard input: `n` (native) or `i` (int 0x80), the number, six arguments. Answers with a line for each.
static long calls(char **word) {
  (void)word;
  volatile long *slot = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (slot == MAP_FAILED) return -1;
  signal(SIGCHLD, SIG_DFL);
  char kind, text[256];
  unsigned long of[7];
  while (fgets(text, sizeof text, stdin)) {
    if (sscanf(text, " %c %lu %lx %lx %lx %lx %lx %lx", &kind, &of[0], &of[1], &of[2], &of[3], &of[4], &of[5], &of[6]) != 8)
      return say("unreadable");
    fflush(stdout);
    long answer = in_child(kind, of, slot);
    if (answer < 0) return -1;
    printf(answer == ENDED ? "ended\n" : answer == BLOCKED ? "blocked\n" : "%ld\n", answer);
  }
  fflush(stdout);
  return SAID;
}

const struct act sweep_acts[] = {{"calls", calls}, {NULL, NULL}};
