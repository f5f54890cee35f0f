#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int cl_pipe2(int descriptors[2], int flags) { return pipe2(descriptors, flags); }
int cl_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
int cl_unshare(int flags) { return unshare(flags); }
int cl_setns(int descriptor, int flags) { return setns(descriptor, flags); }
int cl_open(const char *path, int flags, int mode) { return open(path, flags | O_CLOEXEC, mode); }
int cl_openat(int directory, const char *path, int flags, int mode) { return openat(directory, path, flags | O_CLOEXEC, mode); }
int cl_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
int cl_not_dumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
int cl_child_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
int cl_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
int cl_setresuid(uid_t uid) { return setresuid(uid, uid, uid); }
int cl_setresgid(gid_t gid) { return setresgid(gid, gid, gid); }
int cl_duplicate_from(int descriptor, int lowest) { return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest); }

int cl_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }
int cl_memfd_program(const char *name) {
  // MFD_EXEC (since Linux 6.3); older kernels don't know it, and need no such word.
  int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10);
  return descriptor < 0 && errno == EINVAL ? cl_memfd_create(name) : descriptor;
}
int cl_all_seals(void) { return F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE; }
int cl_seal(int descriptor) { return fcntl(descriptor, F_ADD_SEALS, cl_all_seals()); }
int cl_seals(int descriptor) { return fcntl(descriptor, F_GET_SEALS); }

// open_tree and mount_setattr came after glibc 2.31's wrappers; the raw calls work everywhere.
int cl_open_tree(const char *path, int recursive) {
  return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
}
int cl_mount_setattr(int tree, int recursive, uint64_t set) {
  struct mount_attr attributes = {.attr_set = set};
  return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes);
}

int cl_move_mount(int tree, const char *path) {
  return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */);
}
int cl_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options) {
  return mount(source, target, type, flags, options);
}
int cl_unmount_detached(const char *path) { return umount2(path, MNT_DETACH); }
int cl_pivot_root(const char *root, const char *old) { return (int)syscall(SYS_pivot_root, root, old); }
int cl_is_proc(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}
int cl_device_number(const char *path, unsigned *major_number, unsigned *minor_number) {
  struct stat status;
  if (stat(path, &status) < 0) return -1;
  if (!S_ISCHR(status.st_mode)) { errno = ENODEV; return -1; }
  *major_number = major(status.st_rdev);
  *minor_number = minor(status.st_rdev);
  return 0;
}

int cl_has_attribute(const char *path, const char *name) { return getxattr(path, name, NULL, 0) >= 0; }

int cl_landlock_version(void) {
  // LANDLOCK_CREATE_RULESET_VERSION = 1
  return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

int cl_get_limit(pid_t pid, int resource, uint64_t *soft, uint64_t *hard) {
  struct rlimit64 limit;
  if (prlimit64(pid, resource, NULL, &limit) < 0) return -1;
  *soft = limit.rlim_cur;
  *hard = limit.rlim_max;
  return 0;
}

int cl_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
int cl_pidfd_kill(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }
int cl_wait_pidfd(int pidfd, int no_hang, int *code, int *status) {
  siginfo_t information;
  information.si_pid = 0;
  // P_PIDFD = 3; __WALL: a child made with CLONE_PARENT may have another exit signal.
  int answer;
  do answer = waitid((idtype_t)3, (id_t)pidfd, &information, WEXITED | __WALL | (no_hang ? WNOHANG : 0));
  while (answer < 0 && errno == EINTR);
  *code = answer == 0 && information.si_pid != 0 ? information.si_code : 0;
  *status = *code ? information.si_status : 0;
  return answer;
}

pid_t cl_wait_child_of_thread(void) {
  pid_t child;
  do child = waitpid(-1, NULL, __WALL | __WNOTHREAD);
  while (child < 0 && errno == EINTR);
  return child;
}

int cl_seqpacket_pair(int descriptors[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, descriptors); }
int cl_unix_socket(int type) { return socket(AF_UNIX, type | SOCK_CLOEXEC, 0); }
int cl_accept(int listener) {
  int descriptor;
  do descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

enum { DESCRIPTOR_LIMIT = 250 };  // SCM_MAX_FD is 253

ssize_t cl_send_packet(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count, int waits) {
  union { char space[CMSG_SPACE(DESCRIPTOR_LIMIT * sizeof(int))]; struct cmsghdr align; } control;
  struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (descriptor_count < 0 || descriptor_count > DESCRIPTOR_LIMIT) { errno = E2BIG; return -1; }
  if (descriptor_count > 0) {
    size_t size = (size_t)descriptor_count * sizeof(int);
    message.msg_control = control.space;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), descriptors, size);
  }
  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
  while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t cl_receive_packet(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count) {
  union { char space[CMSG_SPACE(DESCRIPTOR_LIMIT * sizeof(int))]; struct cmsghdr align; } control;
  struct iovec vector = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  int room = *descriptor_count, received = 0;
  *descriptor_count = 0;
  ssize_t got;
  do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return got;
  int overflow = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int here = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < here; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + (size_t)i * sizeof(int), sizeof(int));
      if (received < room) descriptors[received++] = descriptor;
      else { close(descriptor); overflow = 1; }
    }
  }
  if (overflow) {
    while (received > 0) close(descriptors[--received]);
    errno = EMSGSIZE;
    return -1;
  }
  *descriptor_count = received;
  return got;
}

int cl_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -1;
  *pid = credentials.pid;
  *uid = credentials.uid;
  *gid = credentials.gid;
  return 0;
}

int cl_tcp_listener(uint32_t address, uint16_t port, const char *device, int backlog) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -1;
  int on = 1;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(address)}};
  if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      (device && setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0) ||
      bind(listener, (struct sockaddr *)&name, sizeof name) < 0 || listen(listener, backlog) < 0) {
    int error = errno;
    close(listener);
    errno = error;
    return -1;
  }
  return listener;
}

int cl_bound_port(int listener) {
  struct sockaddr_in name;
  socklen_t size = sizeof name;
  return getsockname(listener, (struct sockaddr *)&name, &size) < 0 ? -1 : ntohs(name.sin_port);
}

int cl_bind_abstract(int socket, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  if (length >= sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
  memcpy(address.sun_path + 1, name, length);
  return bind(socket, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
}

int cl_signalfd(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error) { errno = error; return -1; }
  return signalfd(-1, &set, SFD_CLOEXEC);
}
int cl_next_signal(int descriptor) {
  struct signalfd_siginfo information;
  ssize_t got;
  do got = read(descriptor, &information, sizeof information);
  while (got < 0 && errno == EINTR);
  return got == (ssize_t)sizeof information ? (int)information.ssi_signo : -1;
}

const char *cl_errno_name(int error) { return strerrorname_np(error); }

int cl_exit_code(int status) { return WEXITSTATUS(status); }
int cl_signaled(int status) { return WIFSIGNALED(status); }
int cl_signal(int status) { return WTERMSIG(status); }
