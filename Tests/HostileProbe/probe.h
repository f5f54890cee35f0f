// One act that a sandboxed program might try, as raw as it can be. The same program runs inside and outside.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// What an act gives back instead of a result when it has printed its own line.
#define SAID (-4096L)

struct act {
  const char *name;
  // Negative with errno: refused. Anything else: it worked. `word` are the arguments behind the name, ended by NULL.
  long (*perform)(char **word);
};

// Each room's acts; the last has no name.
extern const struct act file_acts[], mount_acts[], process_acts[], network_acts[], kernel_acts[], identity_acts[],
    limit_acts[], leak_acts[], terminal_acts[], sweep_acts[];

long say(const char *text);
// The errno of what a child did, handed through a pipe: the child gives `code` (0: it worked) to `report` and ends. One
// that ends by exec has worked too.
struct report { int ends[2]; };
long begin(struct report *report);
void report(struct report *report, int code);
long outcome(struct report *report, long pid);
// Carries out the act named by word[0]; prints its outcome.
int run_act(char **word);
