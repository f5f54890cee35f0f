// Reading and writing what isn't ours.
#include "probe.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static long read_path(char **word) {
  int file = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  char byte;
  long count = syscall(SYS_read, file, &byte, 1);
  if (count < 0) return -1;
  return say(count ? "content" : "empty");
}

// Only opens; a pipe isn't waited for.
static long open_path(char **word) {
  return syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
}

// In a session keyring of its own with a key in it, where that can be had: then there is something to show.
static long read_keys(char **word) {
  syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
  syscall(SYS_add_key, "user", "probe", "x", 1UL, -3 /* KEY_SPEC_SESSION_KEYRING */);
  return read_path(word);
}

static long list_directory(char **word) {
  int directory = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (directory < 0) return -1;
  char entries[1024];
  return syscall(SYS_getdents64, directory, entries, sizeof entries);
}

static long read_link(char **word) {
  char target[4096];
  return syscall(SYS_readlinkat, AT_FDCWD, word[0], target, sizeof target);
}

// word: path, text. The file must be there.
static long write_path(char **word) {
  int file = syscall(SYS_openat, AT_FDCWD, word[0], O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  return word[1] ? syscall(SYS_write, file, word[1], strlen(word[1])) : 0;
}

// Gives itself root of its namespace. `fresh`: in a new one, where that is everybody's right.
static long map_user(char **word) {
  if (word[0] && syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) < 0) return -1;
  int file = syscall(SYS_openat, AT_FDCWD, "/proc/self/uid_map", O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  return syscall(SYS_write, file, "0 0 1", 5);
}

static long create(char **word) {
  int file = syscall(SYS_openat, AT_FDCWD, word[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  long written = syscall(SYS_write, file, "x", 1);
  syscall(SYS_unlinkat, AT_FDCWD, word[0], 0);
  return written;
}

static long change_mode(char **word) {
  struct stat status;
  if (syscall(SYS_newfstatat, AT_FDCWD, word[0], &status, 0) < 0) return -1;
  return syscall(SYS_fchmodat, AT_FDCWD, word[0], status.st_mode & 07777);
}

static long make_device(char **word) {
  long made = syscall(SYS_mknodat, AT_FDCWD, word[0], S_IFCHR | 0600, 1 << 8 | 3);
  if (made == 0) syscall(SYS_unlinkat, AT_FDCWD, word[0], 0);
  return made;
}

static long mount_flags(char **word) {
  struct statvfs status;
  if (statvfs(word[0], &status) < 0) return -1;
  char line[64];
  snprintf(line, sizeof line, "%s,%s,%s", status.f_flag & ST_RDONLY ? "ro" : "rw",
           status.f_flag & ST_NOSUID ? "nosuid" : "suid", status.f_flag & ST_NODEV ? "nodev" : "dev");
  return say(line);
}

// Looks through every process's root for a file of this path with this text.
static long find_through_proc(char **word) {
  DIR *processes = opendir("/proc");
  if (!processes) return -1;
  for (struct dirent *entry; (entry = readdir(processes));) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    char path[4096], text[256] = "";
    snprintf(path, sizeof path, "/proc/%s/root%s", entry->d_name, word[0]);
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) continue;
    syscall(SYS_read, file, text, sizeof text - 1);
    close(file);
    if (strcmp(text, word[1]) == 0) return say("found");
  }
  return say("none");
}

// CVE-2014-6407's kin: a file by its handle instead of its path goes around every mount.
static long open_by_handle(char **word) {
  struct { struct file_handle head; char rest[128]; } handle = {.head.handle_bytes = 128};
  int mount_id;
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, word[0], &handle, &mount_id, 0) < 0) return -1;
  int directory = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_CLOEXEC, 0);
  return syscall(SYS_open_by_handle_at, directory, &handle, O_RDONLY);
}

// Writes, reads back, removes.
static long use_directory(char **word) {
  char path[4096], text[6] = "";
  snprintf(path, sizeof path, "%s/probe-file", word[0]);
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0 || write(file, "hello", 5) != 5 || pread(file, text, 5, 0) != 5 || unlink(path) < 0) return -1;
  return strcmp(text, "hello") == 0 ? 0 : say("something else");
}

const struct act file_acts[] = {
    {"read-keys", read_keys},
    {"open", open_path},
    {"read", read_path},         {"list", list_directory},      {"readlink", read_link},
    {"write", write_path},       {"create", create},            {"chmod", change_mode},
    {"map", map_user},           {"mknod", make_device},      {"mount-flags", mount_flags},  {"find-through-proc", find_through_proc},
    {"open-by-handle", open_by_handle}, {"use-directory", use_directory}, {NULL, NULL},
};
