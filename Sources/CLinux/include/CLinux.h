// What Swift's Glibc module leaves out (GNU extensions, variadic calls, function-like macros, calls newer than glibc),
// each under the prefix cl_ and with the kernel's meaning: -1 and errno on failure.
#pragma once
#include "Notify.h"
#include "CMount.h"
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int cl_pipe2(int descriptors[2], int flags);
int cl_unshare(int flags);
int cl_setns(int descriptor, int flags);
int cl_open(const char *path, int flags, int mode);
int cl_openat(int directory, const char *path, int flags, int mode);
int cl_no_new_privileges(void);
int cl_not_dumpable(void);
int cl_parent_death_signal(int signal);
int cl_child_subreaper(void);                       // orphans among our descendants become our children
int cl_setresuid(uid_t uid);                        // real, effective and saved, all threads
int cl_setresgid(gid_t gid);
int cl_duplicate_from(int descriptor, int lowest);  // F_DUPFD_CLOEXEC

int cl_memfd_create(const char *name);              // close-on-exec, sealable
int cl_memfd_program(const char *name);             // the same, and may be executed where vm.memfd_noexec is 1
int cl_seal(int descriptor);                        // no write, grow, shrink, or seal any more
int cl_seals(int descriptor);                       // F_GET_SEALS
int cl_all_seals(void);

int cl_open_tree(const char *path, int recursive);  // a detached copy of the mount at path
int cl_mount_setattr(int tree, int recursive, uint64_t set);
int cl_move_mount(int tree, const char *path);      // attaches a detached mount
int cl_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options);
int cl_unmount_detached(const char *path);          // umount2 MNT_DETACH
int cl_pivot_root(const char *root, const char *old);
int cl_is_proc(const char *path);                   // whether a proc file system is mounted there
int cl_device_number(const char *path, unsigned *major, unsigned *minor);  // of a character device; -1 for anything else

int cl_has_attribute(const char *path, const char *name);  // an extended attribute of a file, of any value
int cl_landlock_version(void);                      // 0 or less: none
int cl_get_limit(pid_t pid, int resource, uint64_t *soft, uint64_t *hard);
int cl_pidfd_open(pid_t pid);
int cl_pidfd_kill(int pidfd, int signal);
pid_t cl_wait_child_of_thread(void);                // waits for the next end among what the calling thread started, of any kind
// Waits for the process behind pidfd. code: CLD_*, status: exit code or signal. no_hang: 0 and code 0 while it runs.
int cl_wait_pidfd(int pidfd, int no_hang, int *code, int *status);

int cl_seqpacket_pair(int descriptors[2]);
int cl_unix_socket(int type);                       // close-on-exec
int cl_accept(int listener);                        // close-on-exec
ssize_t cl_send_packet(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count, int waits);
// descriptor_count: room in, received out. Returns EMSGSIZE when bytes or descriptors did not fit.
ssize_t cl_receive_packet(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count);
int cl_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid);

int cl_tcp_listener(uint32_t address, uint16_t port, const char *device, int backlog);  // host byte order; device may be NULL
int cl_bound_port(int listener);
int cl_bind_abstract(int socket, const char *name);  // 0: bound

int cl_signalfd(const int *signals, int count);     // blocks them in this thread
int cl_next_signal(int descriptor);                 // the number; waits

const char *cl_errno_name(int error);                // "ENOENT"; NULL for none

int cl_spawn_close_from(posix_spawn_file_actions_t *actions, int first);  // an errno, as posix_spawn(3)
int cl_exit_code(int status);
int cl_signaled(int status);
int cl_signal(int status);

enum {
  CL_NEWTIME = 0x80, CL_NEWNS = 0x20000, CL_NEWCGROUP = 0x2000000, CL_NEWUTS = 0x4000000, CL_NEWIPC = 0x8000000,
  CL_NEWUSER = 0x10000000, CL_NEWPID = 0x20000000, CL_NEWNET = 0x40000000,
};
enum { CL_ATTR_RDONLY = 1, CL_ATTR_NOSUID = 2, CL_ATTR_NODEV = 4, CL_ATTR_NOEXEC = 8 };
