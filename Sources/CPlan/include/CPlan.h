// The one contract between the supervisor (which writes a plan) and botburrow-init (which carries it out).
// A C header, because Embedded Swift can't import a module compiled for ordinary Swift.
#pragma once
#include <stdint.h>

#define PLAN_MAGIC 0x4e504242u /* "BBPN" */
#define PLAN_VERSION 1u

// Descriptors that the launcher finds open. Those from PLAN_FD_FIRST on are the plan's own, in its order.
enum plan_descriptor {
  PLAN_FD_CONTROL = 3,   // SEQPACKET to the supervisor
  PLAN_FD_LIFELINE = 4,  // read end: hangs up when the supervisor is gone
  PLAN_FD_PLAN = 5,      // sealed memfd with the plan
  PLAN_FD_NETWORK = 6,   // network namespace to enter
  PLAN_FD_CGROUP = 7,    // cgroup directory to be born in; open only with PLAN_HAS_CGROUP
  PLAN_FD_FIRST = 8,
};

enum plan_flag {
  PLAN_HAS_CGROUP = 1,
};

struct plan_header {
  uint32_t magic, version;
  uint32_t length;  // bytes of the whole plan
  uint32_t operations;
  uint64_t clone_flags;
  uint32_t flags;
  uint32_t reserved;
};

// One operation. `path`, `text` are offsets from the operation's start to NUL-terminated strings (0: none);
// `data` likewise to `data_length` bytes, aligned to 8. The next operation starts at `length`, aligned to 8.
struct plan_operation {
  uint32_t code, length;
  uint64_t argument[4];
  uint32_t path, text;
  uint32_t data, data_length;
};

// Meaning of the arguments stands beside each; Sandbox/Plan/InsideOperation.swift is their only writer.
enum plan_code {
  PLAN_AWAIT_MAPS = 1,      // wait for the supervisor's word that uid and gid maps are written
  PLAN_SET_IDENTITY,        // argument: uid, gid; drops supplementary groups first
  PLAN_UNSHARE,             // argument: CLONE_NEW* flags
  PLAN_HOSTNAME,            // text
  PLAN_PROPAGATION_PRIVATE, // every mount of this namespace
  PLAN_MOUNT,               // path: target, text: "type\noptions" is split by argument[1]; argument: MS_* flags
  PLAN_ATTACH_TREE,         // path: target, argument: descriptor of a detached mount
  PLAN_MAKE_DIRECTORY,      // path, argument: mode
  PLAN_MAKE_SYMLINK,        // path: link, text: target
  PLAN_MAKE_FILE,           // path, argument: mode; data: content
  PLAN_COPY_FILE,           // path, argument: mode, descriptor of the content
  PLAN_REMOUNT,             // path, argument: MOUNT_ATTR_* to set
  PLAN_PIVOT_ROOT,          // path: new root
  PLAN_WRITE,               // path: existing file, data
  PLAN_MASK,                // path: hidden if it is there: a file under argument[0] (detached /dev/null), a directory under an empty read-only tmpfs
  PLAN_READ_ONLY,           // path: bound onto itself read-only if it is there
  PLAN_RESOURCE_LIMIT,      // argument: resource, soft, hard
  PLAN_DROP_BOUNDING_SET,
  PLAN_SECUREBITS,          // argument: bits
  PLAN_NO_NEW_PRIVILEGES,
  PLAN_NOT_DUMPABLE,
  PLAN_PARENT_DEATH_SIGNAL, // argument: signal; then looks whether the supervisor is still there
  PLAN_DROP_CAPABILITIES,   // empties every set and reads all five back
  PLAN_CLOSE_DESCRIPTORS,   // argument: first; closes all from there on, and those below (but 0…2) at exec
  PLAN_SECCOMP,             // data: struct sock_filter[]
  PLAN_READY,               // report, then wait for the supervisor's word to start
  PLAN_RUN,                 // path: working directory; data: see plan_run
};

// Data of PLAN_RUN: a plan_run, then the pointer tables (filled in by init), then the strings.
// Offsets in the tables are from the start of the data; each table ends with a 0.
struct plan_run {
  uint32_t candidates;  // offset of a table of paths to try in order
  uint32_t arguments;   // offset of a table
  uint32_t environment; // offset of a table
  uint32_t reserved;
};

// What init tells the supervisor, one packet each.
enum report_kind {
  REPORT_LAUNCHED = 1,  // value: pid of PID 1 in the supervisor's namespace; its pidfd travels along
  REPORT_READY,         // every wall is up
  REPORT_STARTED,       // the program runs
  REPORT_EXITED,        // value: wait status of the program
  REPORT_FAILED,        // operation: index (or PLAN_LAUNCH_*); error: errno
};
enum launch_step {
  PLAN_LAUNCH_READ = 0xffff0001u,
  PLAN_LAUNCH_NETWORK,
  PLAN_LAUNCH_CLONE,
};
struct init_report {
  uint32_t kind;
  int32_t value;
  uint32_t operation;
  int32_t error;
};

// What the supervisor tells init, one byte each; ORDER_SIGNAL is followed by the signal's number.
enum init_order {
  ORDER_MAPS_WRITTEN = 'm',
  ORDER_START = 's',
  ORDER_SIGNAL = 'k',
};
