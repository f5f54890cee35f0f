// System calls and kernel structures for botburrow-init, which has no libc: Embedded Swift can't write inline assembly.
#pragma once
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

// Returns the kernel's answer: -errno on failure (syscall(2) of libc would set errno instead).
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return r;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "botburrow-init knows x86_64 and aarch64"
#endif
}

// Structures whose UAPI headers don't agree with freestanding use, or that need a macro.
struct init_iovec { void *base; size_t length; };
struct init_msghdr { void *name; uint32_t name_length; struct init_iovec *vectors; size_t vector_count; void *control; size_t control_length; int32_t flags; };
struct init_pollfd { int32_t descriptor; int16_t events, returned; };
struct init_rights { size_t length; int32_t level, type; int32_t descriptor; int32_t padding; };  // cmsghdr + one descriptor
struct init_timespec { int64_t seconds, nanoseconds; };

// Syscall numbers as constants: SYS_* are macros of expressions that Swift can't always import.
enum {
  NR_read = SYS_read, NR_write = SYS_write, NR_close = SYS_close, NR_mmap = SYS_mmap, NR_exit_group = SYS_exit_group,
  NR_clone3 = SYS_clone3, NR_clone = SYS_clone, NR_setns = SYS_setns, NR_unshare = SYS_unshare, NR_sendmsg = SYS_sendmsg,
  NR_recvfrom = SYS_recvfrom, NR_sendto = SYS_sendto, NR_setresuid = SYS_setresuid, NR_setresgid = SYS_setresgid,
  NR_setgroups = SYS_setgroups, NR_sethostname = SYS_sethostname, NR_mount = SYS_mount,
  NR_chdir = SYS_chdir, NR_mkdirat = SYS_mkdirat,
  NR_openat = SYS_openat, NR_fchmod = SYS_fchmod, NR_fchmodat = SYS_fchmodat,
  NR_sendfile = SYS_sendfile, NR_move_mount = SYS_move_mount, NR_mount_setattr = SYS_mount_setattr,
  NR_prlimit64 = SYS_prlimit64, NR_prctl = SYS_prctl, NR_capset = SYS_capset, NR_capget = SYS_capget,
  NR_close_range = SYS_close_range, NR_seccomp = SYS_seccomp, NR_ppoll = SYS_ppoll, NR_wait4 = SYS_wait4, NR_kill = SYS_kill,
  NR_setsid = SYS_setsid, NR_execve = SYS_execve, NR_rt_sigprocmask = SYS_rt_sigprocmask,
  NR_signalfd4 = SYS_signalfd4, NR_lseek = SYS_lseek,
  NR_pipe2 = SYS_pipe2, NR_dup3 = SYS_dup3,
  NR_landlock_create_ruleset = SYS_landlock_create_ruleset, NR_landlock_add_rule = SYS_landlock_add_rule,
  NR_landlock_restrict_self = SYS_landlock_restrict_self,
};
enum { INIT_CLONE_PIDFD = CLONE_PIDFD, INIT_CLONE_PARENT = CLONE_PARENT };
// 0x200000000 doesn't fit an enum constant that Swift imports.
static inline uint64_t init_clone_into_cgroup(void) { return CLONE_INTO_CGROUP; }
// The size that capset and capget want beside them; version 3 has two data elements.
enum { INIT_CAPABILITY_VERSION = _LINUX_CAPABILITY_VERSION_3 };

// Takes one packet with its descriptors, close-on-exec; the number of bytes, 0 at the end, negative errno. In C for its
// buffer of descriptors, which is too large for a value of Embedded Swift.
long init_receive(int socket, void *bytes, size_t count);
