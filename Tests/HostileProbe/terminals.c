// Terminals: typing into them, taking them away, being in somebody's session.
#include "probe.h"
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

// As the leader of a session whose terminal is a new pseudo-terminal. -1 where there is none.
static int own_terminal(void) {
  int primary = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0;
  setsid();
  if (primary < 0 || ioctl(primary, TIOCSPTLCK, &zero) < 0) return -1;
  int terminal = ioctl(primary, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  return terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0 ? -1 : terminal;
}

// A request on it. word: request, of any width.
static long on_terminal(char **word) {
  struct report to;
  long pid = begin(&to);
  if (pid == 0) {
    int terminal = own_terminal();
    // TIOCSTI and TIOCLINUX read a byte, TIOCSETD an int (0 is the usual line discipline), others a structure of zeros.
    char nothing[256] = "";
    signal(SIGHUP, SIG_IGN);
    if (terminal < 0) report(&to, -1);
    report(&to, syscall(SYS_ioctl, terminal, strtoul(word[0], NULL, 0), nothing) < 0 ? errno : 0);
  }
  long result = outcome(&to, pid);
  return errno == -1 ? say("no terminal") : result;
}

static long hang_up(char **word) {
  (void)word;
  // In a session of its own, for it takes the terminal away from everybody.
  struct report to;
  long pid = begin(&to);
  if (pid == 0) {
    setsid();
    signal(SIGHUP, SIG_IGN);
    report(&to, syscall(SYS_vhangup) < 0 ? errno : 0);
  }
  return outcome(&to, pid);
}

// Takes over the terminal of another session (TIOCSCTTY with 1), which only an administrator may.
static long steal_terminal(char **word) {
  (void)word;
  struct report to;
  long pid = begin(&to);
  if (pid == 0) {
    int terminal = own_terminal();
    if (terminal < 0) report(&to, -1);
    signal(SIGHUP, SIG_IGN);
    long thief = fork();
    if (thief == 0) {
      setsid();
      report(&to, syscall(SYS_ioctl, terminal, TIOCSCTTY, 1) < 0 ? errno : 0);
    }
    for (;;) pause();
  }
  int code = 0;
  close(to.ends[1]);
  if (pid < 0 || read(to.ends[0], &code, sizeof code) < 0) return -1;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  errno = code;
  return code == -1 ? say("no terminal") : code ? -1 : 0;
}

// The terminal that we are in the session of.
static long controlling_terminal(char **word) {
  (void)word;
  return syscall(SYS_openat, AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
}

// Whether anybody has a terminal of the kind that programs make.
static long terminals(char **word) {
  (void)word;
  DIR *directory = opendir("/dev/pts");
  if (!directory) return -1;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') return say("some");
  return say("none");
}

// Performs the act that follows in a session with a terminal of its own.
static long with_terminal(char **word) {
  if (own_terminal() < 0) return say("no terminal");
  run_act(word);
  return SAID;
}

const struct act terminal_acts[] = {
    {"terminal", on_terminal},   {"vhangup", hang_up},   {"steal-terminal", steal_terminal},
    {"controlling-terminal", controlling_terminal},      {"with-terminal", with_terminal}, {"terminals", terminals}, {NULL, NULL},
};
