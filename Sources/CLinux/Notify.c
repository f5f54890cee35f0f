#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif

// Newer than the headers of Debian 12.
#define SET_FLAGS SECCOMP_IOW(4, __u64)  // SECCOMP_IOCTL_NOTIF_SET_FLAGS, Linux 6.6
#define SYNC_WAKE_UP 1ul                 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

// On a Unix socket MSG_CONFIRM means nothing, so no program sends with it: the one call that needs no answer.
enum { LISTENER_MESSAGE = MSG_NOSIGNAL | MSG_CONFIRM };

int cl_native_architecture(void) { return (int)NATIVE; }
int cl_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int cl_notify_listener(void) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, 5),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LISTENER_MESSAGE, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  // Linux 5.19: once received, only a fatal signal ends the wait; before that a signal makes calls answer EINTR that
  // never do so otherwise.
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
  if (listener < 0 && errno == EINVAL) listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return listener;
}

int cl_send_listener(int socket, int listener) {
  union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
  char byte = 'l';
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  memset(&control, 0, sizeof control);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &listener, sizeof listener);
  return sendmsg(socket, &message, LISTENER_MESSAGE) < 0 ? -1 : 0;
}

int cl_notify_receive(int listener, struct cl_call *call) {
  // The kernel writes as much as it knows; SECCOMP_GET_NOTIF_SIZES says 80 bytes today.
  union { struct seccomp_notif known; char space[1024]; } message;
  int answer;
  do {
    memset(&message, 0, sizeof message);
    answer = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &message);
  } while (answer < 0 && errno == EINTR);
  if (answer < 0) return -1;
  call->id = message.known.id;
  call->thread = (pid_t)message.known.pid;
  call->architecture = message.known.data.arch;
  call->number = message.known.data.nr;
  for (int i = 0; i < 6; i++) call->arguments[i] = message.known.data.args[i];
  return 0;
}

static int answer(int listener, uint64_t id, int error, uint32_t flags) {
  union { struct seccomp_notif_resp known; char space[1024]; } message;
  memset(&message, 0, sizeof message);
  message.known.id = id;
  message.known.error = -error;
  message.known.flags = flags;
  int sent;
  do sent = ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &message);
  while (sent < 0 && errno == EINTR);
  return sent;
}
int cl_notify_continue(int listener, uint64_t id) { return answer(listener, id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }
int cl_notify_refuse(int listener, uint64_t id, int error) { return answer(listener, id, error, 0); }
int cl_notify_waits(int listener, uint64_t id) { return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id); }
int cl_notify_wake_in_turn(int listener) { return ioctl(listener, SET_FLAGS, SYNC_WAKE_UP); }

ssize_t cl_read_memory(pid_t thread, uint64_t address, void *buffer, size_t count) {
  struct iovec here = {.iov_base = buffer, .iov_len = count}, there = {.iov_base = (void *)address, .iov_len = count};
  return process_vm_readv(thread, &here, 1, &there, 1, 0);
}
