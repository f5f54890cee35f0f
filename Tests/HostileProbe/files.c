// Reading and writing what isn't ours.
#include "probe.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

static long read_path(char **word) {
  int file = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  // Some files of /proc give whole words only.
  char word_of_memory[8];
  long count = syscall(SYS_read, file, word_of_memory, sizeof word_of_memory);
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
  snprintf(path, sizeof path, "%s/probe-file-%d", word[0], getpid());
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0 || write(file, "hello", 5) != 5 || pread(file, text, 5, 0) != 5 || unlink(path) < 0) return -1;
  return strcmp(text, "hello") == 0 ? 0 : say("something else");
}

// Whether a file has this text anywhere.
static long contains(char **word) {
  FILE *file = fopen(word[0], "re");
  if (!file) return -1;
  char line[8192];
  int found = 0;
  while (!found && fgets(line, sizeof line, file)) found = strstr(line, word[1]) != NULL;
  fclose(file);
  return say(found ? "found" : "none");
}

// Whether two names are one file or device.
static long same_file(char **word) {
  struct stat one, other;
  if (syscall(SYS_newfstatat, AT_FDCWD, word[0], &one, 0) < 0) return -1;
  if (syscall(SYS_newfstatat, AT_FDCWD, word[1], &other, 0) < 0) return -1;
  return say(one.st_dev == other.st_dev && one.st_ino == other.st_ino ? "the same" :
             S_ISCHR(one.st_mode) && one.st_rdev == other.st_rdev ? "the same" : "another");
}
static long any_in(char **word) {
  DIR *directory = opendir(word[0]);
  if (!directory) return -1;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) return say("something");
  return say("nothing");
}
static long read_text(char **word) {
  char text[4096] = "";
  int file = syscall(SYS_openat, AT_FDCWD, word[0], O_RDONLY | O_CLOEXEC, 0);
  if (file < 0 || syscall(SYS_read, file, text, sizeof text - 1) < 0) return -1;
  text[strcspn(text, "\n")] = 0;
  return say(text);
}

// word: what, under which new name.
static long hard_link(char **word) {
  long made = syscall(SYS_linkat, AT_FDCWD, word[0], AT_FDCWD, word[1], 0);
  if (made == 0) syscall(SYS_unlinkat, AT_FDCWD, word[1], 0);
  return made;
}
static long nameless(char **word) {
  return syscall(SYS_openat, AT_FDCWD, word[0], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}
// Over a symbolic link of our own. word: its target, the directory to make it in.
static long through_link(char **word) {
  char path[4096];
  snprintf(path, sizeof path, "%s/probe-link-%d", word[1], getpid());
  if (syscall(SYS_symlinkat, word[0], AT_FDCWD, path) < 0) return -1;
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0), code = errno;
  syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  errno = code;
  return file;
}
// Up from a directory that is held open, one step at a time. word: how often, then a path from there.
static long climb(char **word) {
  int place = syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  for (int step = atoi(word[0]); place >= 0 && step > 0; step--) {
    int above = syscall(SYS_openat, place, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    close(place);
    place = above;
  }
  return place < 0 ? -1 : syscall(SYS_openat, place, word[1], O_RDONLY | O_CLOEXEC, 0);
}
// On a file of our own, which goes again. word: directory, the attribute's name, its bytes in hexadecimal.
static long attribute(char **word) {
  char path[4096];
  unsigned char value[64];
  size_t size = strlen(word[2]) / 2;
  for (size_t i = 0; i < size && i < sizeof value; i++) sscanf(word[2] + 2 * i, "%2hhx", &value[i]);
  snprintf(path, sizeof path, "%s/probe-attribute-%d", word[0], getpid());
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0700);
  if (file < 0) return -1;
  long set = syscall(SYS_fsetxattr, file, word[1], value, size, 0);
  int code = errno;
  unlink(path);
  errno = code;
  return set;
}
// A file of our own to root. word: directory.
static long give_away(char **word) {
  char path[4096];
  snprintf(path, sizeof path, "%s/probe-owned-%d", word[0], getpid());
  int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0700);
  if (file < 0) return -1;
  long changed = syscall(SYS_fchown, file, 1, 1);
  int code = errno;
  unlink(path);
  errno = code;
  return changed;
}
static long cut(char **word) { return syscall(SYS_truncate, word[0], 0L); }
// There and back.
static long move_away(char **word) {
  char other[4096];
  snprintf(other, sizeof other, "%s-moved", word[0]);
  long moved = syscall(SYS_renameat, AT_FDCWD, word[0], AT_FDCWD, other);
  if (moved == 0) syscall(SYS_renameat, AT_FDCWD, other, AT_FDCWD, word[0]);
  return moved;
}
static long make_directory(char **word) {
  long made = syscall(SYS_mkdirat, AT_FDCWD, word[0], 0700);
  if (made == 0) syscall(SYS_unlinkat, AT_FDCWD, word[0], AT_REMOVEDIR);
  return made;
}
static long set_times(char **word) { return syscall(SYS_utimensat, AT_FDCWD, word[0], NULL, 0); }

const struct act file_acts[] = {
    {"same-file", same_file},    {"any-in", any_in},            {"read-text", read_text},
    {"contains", contains},      {"link", hard_link},           {"nameless", nameless},
    {"through-link", through_link}, {"climb", climb},           {"attribute", attribute},
    {"give-away", give_away},    {"truncate", cut},             {"rename", move_away},
    {"mkdir", make_directory},   {"set-times", set_times},
    {"read-keys", read_keys},
    {"open", open_path},
    {"read", read_path},         {"list", list_directory},      {"readlink", read_link},
    {"write", write_path},       {"create", create},            {"chmod", change_mode},
    {"map", map_user},           {"mknod", make_device},      {"mount-flags", mount_flags},  {"find-through-proc", find_through_proc},
    {"open-by-handle", open_by_handle}, {"use-directory", use_directory}, {NULL, NULL},
};
