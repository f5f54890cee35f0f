#include "probe.h"
#include <sys/wait.h>

long say(const char *text) {
  puts(text);
  fflush(stdout);
  return SAID;
}

// Forks; 0 in the child.
long begin(struct report *report) { return pipe(report->ends) < 0 ? -1 : fork(); }

void report(struct report *report, int code) { _exit(write(report->ends[1], &code, sizeof code) < 0); }

long outcome(struct report *report, long pid) {
  int code = 0;
  close(report->ends[1]);
  if (pid < 0) return -1;
  if (read(report->ends[0], &code, sizeof code) <= 0) code = 0;
  waitpid(pid, NULL, 0);
  errno = code;
  return code ? -1 : 0;
}

int run_act(char **word) {
  const struct act *rooms[] = {file_acts,   mount_acts,    process_acts, network_acts,
                               kernel_acts, identity_acts, limit_acts,   leak_acts,
                               terminal_acts, sweep_acts};
  for (size_t room = 0; room < sizeof rooms / sizeof *rooms; room++)
    for (const struct act *act = rooms[room]; act->name; act++)
      if (strcmp(act->name, word[0]) == 0) {
        errno = 0;
        long result = act->perform(word + 1);
        if (result != SAID) say(result < 0 ? strerrorname_np(errno) : "ok");
        return 0;
      }
  fprintf(stderr, "probe: no act '%s'\n", word[0]);
  return 2;
}

int main(int count, char **word) { return count > 1 ? run_act(word + 1) : 2; }
