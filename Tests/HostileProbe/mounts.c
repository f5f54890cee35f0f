// Mounts and namespaces.
#include "probe.h"
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

// word: type, directory.
static long mount_type(char **word) {
  const char *options = strcmp(word[0], "overlay") ? NULL : "lowerdir=/usr/bin:/usr/lib";
  return syscall(SYS_mount, "none", word[1], word[0], 0UL, options);
}
// Mounts of others below a directory come to us, and ours to them. word: directory.
static long share(char **word) { return syscall(SYS_mount, NULL, word[0], NULL, 1UL << 20 | 1UL << 14, NULL); }
static long move_old(char **word) { return syscall(SYS_mount, word[0], word[1], NULL, 8192UL /* MS_MOVE */, NULL); }
static long mount_tmpfs(char **word) { return syscall(SYS_mount, "none", word[0], "tmpfs", 0UL, NULL); }
static long bind(char **word) { return syscall(SYS_mount, word[0], word[1], NULL, 4096UL /* MS_BIND */, NULL); }
// MS_REMOUNT|MS_BIND without MS_RDONLY: writable.
static long remount_writable(char **word) { return syscall(SYS_mount, "none", word[0], NULL, 32UL | 4096UL, NULL); }
static long unmount(char **word) { return syscall(SYS_umount2, word[0], 2 /* MNT_DETACH */); }
static long pivot(char **word) {
  if (chdir(word[0]) < 0) return -1;
  return syscall(SYS_pivot_root, ".", ".");
}
static long change_root(char **word) { return syscall(SYS_chroot, word[0]); }
static long open_tree_clone(char **word) { return syscall(SYS_open_tree, AT_FDCWD, word[0], OPEN_TREE_CLONE); }
static long open_context(char **word) { return syscall(SYS_fsopen, word[0], 0); }
static long pick(char **word) { return syscall(SYS_fspick, AT_FDCWD, word[0], 0); }
static long move(char **word) {
  int tree = syscall(SYS_open_tree, AT_FDCWD, word[0], OPEN_TREE_CLONE);
  return syscall(SYS_move_mount, tree < 0 ? AT_FDCWD : tree, tree < 0 ? word[0] : "", AT_FDCWD, word[1],
                 tree < 0 ? 0 : MOVE_MOUNT_F_EMPTY_PATH);
}
static long set_attributes(char **word) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
  return syscall(SYS_mount_setattr, AT_FDCWD, word[0], 0, &attributes, sizeof attributes);
}
// A file system of a new kind of call from beginning to end. word: type.
static long mount_new(char **word) {
  int context = syscall(SYS_fsopen, word[0], 0);
  if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -1;
  return syscall(SYS_fsmount, context, 0, 0);
}
static long mount_number(char **word) {
  (void)word;
  struct { uint32_t size, spare; uint64_t mount, parameter; } request = {24, 0, 0, 0};
  char answer[512];
  return syscall(457, &request, answer, sizeof answer, 0);
}
// open_tree_attr(2), Linux 6.15.
static long open_tree_attributes(char **word) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return syscall(467, AT_FDCWD, word[0], OPEN_TREE_CLONE, &attributes, sizeof attributes);
}
// statmount(2) and listmount(2), Linux 6.8: newer than the filter's table.
static long list_mounts(char **word) {
  (void)word;
  struct { uint32_t size, spare; uint64_t mount, parameter; } request = {24, 0, UINT64_MAX, 0};
  uint64_t mounts[16];
  return syscall(458, &request, mounts, 16UL, 0);
}

// word: CLONE_* flags as a number.
static long unshare_flags(char **word) { return syscall(SYS_unshare, strtoul(word[0], NULL, 0)); }

static long end_child(long pid) {
  if (pid == 0) _exit(0);
  if (pid > 0) waitpid(pid, NULL, 0);
  return pid;
}
static long clone_flags(char **word) {
  return end_child(syscall(SYS_clone, strtoul(word[0], NULL, 0) | SIGCHLD, 0, 0, 0, 0));
}
static long clone3_flags(char **word) {
  struct clone_args arguments = {.flags = strtoul(word[0], NULL, 0), .exit_signal = SIGCHLD};
  return end_child(syscall(SYS_clone3, &arguments, sizeof arguments));
}
static long enter(char **word) {
  int namespace = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_CLOEXEC, 0);
  if (namespace < 0) return -1;
  return syscall(SYS_setns, namespace, 0);
}
// Through a pidfd of ourselves: no file of /proc is needed.
static long enter_pidfd(char **word) {
  int self = syscall(SYS_pidfd_open, getpid(), 0);
  if (self < 0) return -1;
  return syscall(SYS_setns, self, strtol(word[0], NULL, 0));
}

// The namespace above one. word: the namespace's file, or `child` for a fresh user namespace below our own.
static long parent_of(char **word) {
  char path[64];
  long pid = 0;
  int ends[2];
  if (strcmp(word[0], "child") == 0) {
    if (pipe(ends) < 0) return -1;
    pid = fork();
    if (pid == 0) {
      if (syscall(SYS_unshare, 0x10000000) < 0 || write(ends[1], "x", 1) < 0) _exit(1);
      for (;;) pause();
    }
    close(ends[1]);
    if (read(ends[0], path, 1) != 1) return -1;
    snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
  } else {
    snprintf(path, sizeof path, "%s", word[0]);
  }
  int namespace = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  long result = namespace < 0 ? -1 : syscall(SYS_ioctl, namespace, NS_GET_PARENT);
  int code = errno;
  if (pid) { kill(pid, SIGKILL); waitpid(pid, NULL, 0); }
  errno = code;
  return result;
}

const struct act mount_acts[] = {
    {"mount-type", mount_type},   {"share", share},              {"move-old", move_old},
    {"mount-new", mount_new},     {"statmount", mount_number},   {"open_tree_attr", open_tree_attributes},
    {"parent-namespace", parent_of},
    {"mount", mount_tmpfs},       {"bind", bind},                {"remount", remount_writable},
    {"umount", unmount},          {"pivot_root", pivot},         {"chroot", change_root},
    {"open_tree", open_tree_clone}, {"fsopen", open_context},    {"fspick", pick},
    {"move_mount", move},         {"mount_setattr", set_attributes}, {"listmount", list_mounts},
    {"unshare", unshare_flags},   {"clone", clone_flags},        {"clone3", clone3_flags},
    {"setns", enter},             {"setns-pidfd", enter_pidfd},  {NULL, NULL},
};
