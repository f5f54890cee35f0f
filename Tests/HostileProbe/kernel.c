// The kernel itself: what only an administrator may ask of it, and what has been a way into it too often.
#include "probe.h"
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

#define ACT(name, expression) \
  static long name(char **word) { (void)word; return (expression); }

static long number(const char *text) { return (long)strtoul(text, NULL, 0); }

ACT(add_key, syscall(SYS_add_key, "user", "probe", "x", 1UL, KEY_SPEC_PROCESS_KEYRING))
ACT(keyctl, syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1, 0, 0))
static long request_key(char **word) {
  add_key(word);
  return syscall(SYS_request_key, "user", "probe", NULL, KEY_SPEC_PROCESS_KEYRING);
}
static long bpf_map(char **word) {
  (void)word;
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}
static long perf(char **word) {
  (void)word;
  struct perf_event_attr attributes = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_TASK_CLOCK};
  return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL);
}
ACT(userfaultfd, syscall(SYS_userfaultfd, O_CLOEXEC))
static long io_uring(char **word) {
  (void)word;
  struct io_uring_params parameters = {0};
  return syscall(SYS_io_uring_setup, 1, &parameters);
}
ACT(kexec, syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL))
ACT(load_module, syscall(SYS_init_module, "no module", 9UL, ""))
ACT(unload_module, syscall(SYS_delete_module, "botburrow_no_module", O_NONBLOCK))
// LINUX_REBOOT_CMD_CAD_OFF: Ctrl-Alt-Del stays a signal to init, as it is by default.
ACT(reboot, syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL))
// The time zone of the kernel to what it is by default; the clock doesn't move.
static long set_time(char **word) {
  (void)word;
  struct timezone { int west, dst; } zone = {0, 0};
  return syscall(SYS_settimeofday, NULL, &zone);
}
// No clock but the real one can be set: only whoever is past every filter hears EINVAL.
static long set_clock(char **word) {
  (void)word;
  struct timespec time = {1, 0};
  return syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time);
}
// Moves the clock by nothing.
static long adjust_clock(char **word) {
  (void)word;
  struct timex request = {.modes = ADJ_SETOFFSET};
  return syscall(SYS_clock_adjtime, CLOCK_REALTIME, &request);
}
ACT(host_name, syscall(SYS_sethostname, "probe", 5))
ACT(domain_name, syscall(SYS_setdomainname, "probe", 5))
ACT(quota, syscall(SYS_quotactl, 0x800001 << 8 /* Q_SYNC */, NULL, 0, NULL))
ACT(swap_on, syscall(SYS_swapon, "/nowhere/botburrow", 0))
ACT(swap_off, syscall(SYS_swapoff, "/nowhere/botburrow"))
ACT(accounting, syscall(SYS_acct, NULL))
ACT(read_log, syscall(SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0))
ACT(watch_files, syscall(SYS_fanotify_init, 0, O_RDONLY))
ACT(move_memory, syscall(SYS_migrate_pages, 0, 0UL, NULL, NULL))
ACT(secret_memory, syscall(SYS_memfd_secret, 0))
#ifdef SYS_iopl
ACT(ports, syscall(SYS_ioperm, 0x80, 1, 1))
ACT(port_level, syscall(SYS_iopl, 3))
ACT(descriptor_table, syscall(SYS_modify_ldt, 0, word, 0UL))
#endif
ACT(quota_of, syscall(SYS_quotactl_fd, 0, 0x800007 << 8 /* Q_GETQUOTA */, 0, NULL))
// Moves nothing: an adjustment to what is, which still needs the right.
static long adjust_old(char **word) {
  (void)word;
  struct timex request = {.modes = 0};
  if (syscall(SYS_adjtimex, &request) < 0) return -1;
  request.modes = ADJ_STATUS;
  return syscall(SYS_adjtimex, &request);
}
#ifdef SYS_lookup_dcookie
ACT(cookie, syscall(SYS_lookup_dcookie, 0UL, word, 1UL))
#else
ACT(cookie, (errno = ENOSYS, -1))
#endif
// Frees the memory of a process that is being killed: behind every wall, one that isn't is refused.
static long release_memory(char **word) {
  (void)word;
  int self = syscall(SYS_pidfd_open, getpid(), 0);
  return self < 0 ? -1 : syscall(SYS_process_mrelease, self, 0);
}
// A queue lives in the kernel's memory.
static long open_queue(char **word) {
  long queue = syscall(SYS_mq_open, word[0], O_RDWR | O_CREAT, 0600, NULL);
  if (queue >= 0) syscall(SYS_mq_unlink, word[0]);
  return queue;
}
ACT(load_file, syscall(SYS_finit_module, -1, "", 0))
ACT(kexec_file, syscall(SYS_kexec_file_load, -1, -1, 0UL, NULL, 0UL))
ACT(home_node, syscall(450, 0UL, 0UL, 0UL, 1UL))
// A timer that wakes the machine.
static long alarm_timer(char **word) {
  (void)word;
  int timer;
  return syscall(SYS_timer_create, 8 /* CLOCK_REALTIME_ALARM */, NULL, &timer);
}
// The beginning of a time namespace. `fresh`: of a new one, where an administrator may.
static long time_offset(char **word) {
  if (word[0] && syscall(SYS_unshare, 0x80 /* CLONE_NEWTIME */) < 0) return -1;
  int file = syscall(SYS_openat, AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  return syscall(SYS_write, file, "monotonic 1 0\n", 14UL);
}
ACT(huge_pages, syscall(SYS_shmget, IPC_PRIVATE, 2UL << 20, IPC_CREAT | SHM_HUGETLB | 0600))

// word: the persona, of any width.
static long set_personality(char **word) { return syscall(SYS_personality, number(word[0])); }

// System calls of other numberings, by which a filter can be gone around.
static long by_interrupt(char **word) {
  (void)word;
#ifdef __x86_64__
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid of i386 */) : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return result;
  errno = -result;
  return -1;
#else
  errno = ENOSYS;
  return -1;
#endif
}
static long by_x32(char **word) { return syscall(0x40000000L | number(word[0])); }
// A number that the filter's table doesn't know.
static long unknown_number(char **word) { return syscall(number(word[0]), -1, 0, 0, 0, 0, 0); }

const struct act kernel_acts[] = {
    {"add_key", add_key},       {"keyctl", keyctl},           {"request_key", request_key},
    {"bpf", bpf_map},           {"perf_event_open", perf},    {"userfaultfd", userfaultfd},
    {"io_uring_setup", io_uring}, {"kexec_load", kexec},      {"init_module", load_module},
    {"delete_module", unload_module}, {"reboot", reboot},     {"settimeofday", set_time},
    {"clock_settime", set_clock}, {"clock_adjtime", adjust_clock}, {"sethostname", host_name},
    {"setdomainname", domain_name}, {"quotactl", quota},      {"swapon", swap_on},
    {"swapoff", swap_off},      {"acct", accounting},         {"syslog", read_log},
    {"fanotify_init", watch_files}, {"migrate_pages", move_memory}, {"memfd_secret", secret_memory},
#ifdef SYS_iopl
    {"ioperm", ports},          {"iopl", port_level},         {"modify_ldt", descriptor_table},
#endif
    {"personality", set_personality}, {"quotactl_fd", quota_of}, {"adjtimex", adjust_old},
    {"lookup_dcookie", cookie}, {"process_mrelease", release_memory}, {"mq_open", open_queue},
    {"finit_module", load_file}, {"kexec_file_load", kexec_file}, {"set_mempolicy_home_node", home_node},
    {"alarm-timer", alarm_timer}, {"huge-pages", huge_pages}, {"time-offset", time_offset},
    {"int80", by_interrupt},    {"x32", by_x32},              {"number", unknown_number},
    {NULL, NULL},
};
