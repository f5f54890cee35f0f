// Mounts made of file descriptors, loop devices, and path lookup that can't leave a directory; the same rules as CLinux.h.
#pragma once
#include <stdint.h>
#include <sys/types.h>

// New mount interface (fsopen(2) and its family). Keys and values are the file system's mount options.
int cl_fsopen(const char *type);                                              // close-on-exec
int cl_fsconfig(int context, const char *key, const char *value);             // value NULL: a flag
int cl_fsconfig_create(int context);
int cl_fsmount(int context, uint64_t attributes);                             // a detached mount, close-on-exec
int cl_open_tree_at(int directory, const char *path, int recursive);          // a detached copy; "" is the directory itself
int cl_mount_map(int tree, int recursive, int user_namespace);                // MOUNT_ATTR_IDMAP
int cl_move_mount_at(int tree, int directory, const char *path);                 // "" is the directory itself

int cl_openat2(int directory, const char *path, int flags, uint64_t resolve);  // close-on-exec

int cl_loop_free(int control);                                                // the number of a device that was free
int cl_loop_configure(int device, int image, uint32_t flags);
int cl_loop_flags(int device, uint32_t *flags);

enum { CL_RESOLVE_NO_XDEV = 1, CL_RESOLVE_NO_MAGICLINKS = 2, CL_RESOLVE_NO_SYMLINKS = 4, CL_RESOLVE_IN_ROOT = 16 };
enum { CL_PATH = 010000000 };                                                  // O_PATH
enum { CL_LOOP_READ_ONLY = 1, CL_LOOP_AUTOCLEAR = 4, CL_LOOP_DIRECT_IO = 16 };
