// Seccomp's user notification (seccomp_unotify(2)), for which glibc has no wrappers and whose structures the kernel may
// make longer than the headers know.
#pragma once
#include <stdint.h>
#include <sys/types.h>

// A system call that waits for our word.
struct cl_call {
  uint64_t id;
  uint64_t arguments[6];
  uint32_t architecture;  // AUDIT_ARCH_*
  int32_t number;
  pid_t thread;           // in the reader's pid namespace
};

// From here on every call of this thread and of what it starts waits for the listener, whose descriptor is returned
// (close-on-exec). Only cl_send_listener passes: somebody must get the listener before it can answer.
int cl_notify_listener(void);
int cl_send_listener(int socket, int listener);
int cl_notify_receive(int listener, struct cl_call *call);  // ENOENT: the caller is gone
int cl_notify_continue(int listener, uint64_t id);          // the kernel carries the call out
int cl_notify_refuse(int listener, uint64_t id, int error); // the call answers with this errno
int cl_notify_waits(int listener, uint64_t id);             // 0: the call still waits, so its thread is still the same
ssize_t cl_read_memory(pid_t thread, uint64_t address, void *buffer, size_t count);  // of another process
int cl_notify_wake_in_turn(int listener);                   // who answers and who waits take turns (Linux 6.6); or EINVAL
int cl_native_architecture(void);                           // AUDIT_ARCH_* of this program

int cl_adopt_orphans(void);                                 // PR_SET_CHILD_SUBREAPER
