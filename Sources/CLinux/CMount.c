#define _GNU_SOURCE
#include "CMount.h"
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int cl_fsopen(const char *type) { return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC); }
int cl_fsconfig(int context, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}
int cl_fsconfig_create(int context) { return (int)syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0); }
int cl_fsmount(int context, uint64_t attributes) {
  return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, (unsigned)attributes);
}
int cl_open_tree_at(int directory, const char *path, int recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | (recursive ? AT_RECURSIVE : 0);
  return (int)syscall(SYS_open_tree, directory, path, flags | (*path ? 0 : AT_EMPTY_PATH));
}
int cl_mount_map(int tree, int recursive, int user_namespace) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace};
  return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes);
}
int cl_move_mount_at(int tree, int directory, const char *path) {
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
  return (int)syscall(SYS_move_mount, tree, "", directory, path, flags);
}

int cl_openat2(int directory, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC, .resolve = resolve};
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int cl_loop_free(int control) { return ioctl(control, LOOP_CTL_GET_FREE); }
int cl_loop_configure(int device, int image, uint32_t flags) {
  struct loop_config configuration = {.fd = (uint32_t)image, .info = {.lo_flags = flags}};
  return ioctl(device, LOOP_CONFIGURE, &configuration);
}
int cl_loop_flags(int device, uint32_t *flags) {
  struct loop_info64 information;
  if (ioctl(device, LOOP_GET_STATUS64, &information) < 0) return -1;
  *flags = information.lo_flags;
  return 0;
}
