// The one contract between the supervisor (which writes a plan) and botburrow-init (which carries it out).
// A C header, because Embedded Swift can't import a module compiled for ordinary Swift.
#pragma once
#include <stdint.h>

#define PLAN_MAGIC 0x4e504242u /* "BBPN" */
#define PLAN_VERSION 3u

// Descriptors that a launcher has for itself, and PID 1 never.
enum launcher_descriptor {
  LAUNCHER_FD_REQUESTS = 3,  // SEQPACKET on which launch requests come
  LAUNCHER_FD_PROC = 4,      // the host's /proc, to write maps of ids
  LAUNCHER_FD_HOME = 5,      // network namespace to go back to
};

// Descriptors that travel with a launch request, in this order: nothing else is open in a launcher, so that they get these
// numbers (the kernel takes the lowest that are free).
enum launch_descriptor {
  LAUNCH_FD_STDIN = 6,
  LAUNCH_FD_STDOUT,
  LAUNCH_FD_STDERR,
  LAUNCH_FD_CONTROL,         // SEQPACKET to the supervisor's thread of this activation
  LAUNCH_FD_LIFELINE,        // read end: hangs up when the supervisor is gone
  LAUNCH_FD_PLAN,            // sealed memfd with the plan
  LAUNCH_FD_NETWORK,         // network namespace to enter
  LAUNCH_FD_MOUNTS,          // mount namespace to start from: the profile's root, and nothing of the host
  LAUNCH_FD_CGROUP,          // cgroup directory to be born in; without LAUNCH_HAS_CGROUP any descriptor
  LAUNCH_FD_HANDED,          // the plan's own, in its order
};

// Where PID 1 has what it keeps.
enum plan_descriptor {
  PLAN_FD_CONTROL = 3,
  PLAN_FD_LIFELINE = 4,
};

enum launch_flag {
  LAUNCH_HAS_CGROUP = 1,
};

// One packet to a launcher.
struct launch_request {
  uint32_t magic, version;
  uint64_t clone_flags;
  uint32_t flags;
  uint32_t first_id, id_count;  // ids of the host that are 0… inside
  uint32_t fault;  // a mark: PLAN_LAUNCH_* of its step in the lower half
};

// Marks, in debug builds only: the upper half of an operation's code, or of `fault`, is an errno to answer in place of the
// step, or this to say REPORT_PAUSED and wait before it.
#define PLAN_FAULT_PAUSE 0xffffu

struct plan_header {
  uint32_t magic, version;
  uint32_t length;  // bytes of the whole plan
  uint32_t operations;
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
  PLAN_SET_IDENTITY = 1,        // argument: uid, gid; drops supplementary groups first
  PLAN_UNSHARE,             // argument: CLONE_NEW* flags
  PLAN_HOSTNAME,            // text
  PLAN_MOUNT,               // path: target, text: "type\noptions" is split by argument[1]; argument: MS_* flags
  PLAN_AWAIT_MAPPED_MOUNTS, // report, then wait for the supervisor's word that they are
  PLAN_ATTACH_TREE,         // path: target, argument: descriptor of a detached mount
  PLAN_MAKE_DIRECTORY,      // path, argument: mode
  PLAN_COPY_FILE,           // path, argument: mode, descriptor of the content
  PLAN_MAP_SECRETS,         // argument: descriptor of "NAME=value" texts, each with its NUL, for the program's environment
  PLAN_WRITE,               // path: existing file, data
  PLAN_MASK_FILE,           // path: hidden under /dev/null
  PLAN_MASK_DIRECTORY,      // path: hidden under an empty read-only tmpfs
  PLAN_READ_ONLY,           // path: bound onto itself read-only
  PLAN_RESOURCE_LIMIT,      // argument: resource, soft, hard
  PLAN_DROP_BOUNDING_SET,
  PLAN_SECUREBITS,          // argument: bits
  PLAN_NO_NEW_PRIVILEGES,
  PLAN_NOT_DUMPABLE,
  PLAN_PARENT_DEATH_SIGNAL, // argument: signal; then looks whether the supervisor is still there
  PLAN_DROP_CAPABILITIES,   // empties every set and reads back those that a process may change
  PLAN_LANDLOCK,            // data: plan_landlock and its rules
  PLAN_CLOSE_DESCRIPTORS,   // argument: first; closes all from there on, and those below (but 0…2) at exec
  PLAN_SECCOMP,             // data: struct sock_filter[]
  PLAN_READY,               // report; the supervisor reads the walls back while PLAN_RUN begins
  PLAN_RUN,                 // path: working directory; data: see plan_run
};

// Data of PLAN_RUN: a plan_run, then the pointer tables (filled in by init), then the strings.
// Offsets in the tables are from the start of the data; each table ends with a 0. Before the environment's table there is
// room for PLAN_SECRETS_LIMIT entries where the plan has PLAN_MAP_SECRETS.
#define PLAN_SECRETS_LIMIT 64
struct plan_run {
  uint32_t candidates;  // offset of a table of paths to try in order
  uint32_t arguments;   // offset of a table
  uint32_t environment; // offset of a table
  uint32_t reserved;
};

// Data of PLAN_LANDLOCK: this, then `rules` of plan_landlock_rule, each with its path behind the rules.
struct plan_landlock {
  uint64_t handled_files;    // LANDLOCK_ACCESS_FS_*
  uint64_t handled_network;  // LANDLOCK_ACCESS_NET_*; nothing is granted of it
  uint64_t scoped;           // LANDLOCK_SCOPE_*
  uint32_t rules;
  uint32_t attribute_size;   // of struct landlock_ruleset_attr, as the kernel's version has it
};
struct plan_landlock_rule {
  uint64_t access;
  uint32_t path;             // offset from the start of the data
  uint32_t reserved;
};

// What launcher and init tell the supervisor, one packet each.
enum report_kind {
  REPORT_LAUNCHED = 1,  // by the launcher. value: pid of PID 1 in the supervisor's namespace; its pidfd travels along
  REPORT_HAS_IDS,       // ids are mapped: the supervisor can idmap mounts to them
  REPORT_READY,         // every wall is up
  REPORT_EXITED,        // value: wait status of the program
  REPORT_FAILED,        // operation: index (or PLAN_LAUNCH_*); error: errno
  REPORT_PAUSED,        // debug builds: it stands at a mark, and waits for ORDER_GO_ON
};
enum launch_step {
  PLAN_LAUNCH_READ = 0xffff0001u,
  PLAN_LAUNCH_NETWORK,
  PLAN_LAUNCH_MOUNTS,
  PLAN_LAUNCH_CLONE,
  PLAN_LAUNCH_MAPS,
  PLAN_LAUNCH_DESCRIPTORS,
};
struct init_report {
  uint32_t kind;
  int32_t value;
  uint32_t operation;
  int32_t error;
};

// What the supervisor tells init, one byte each; ORDER_SIGNAL is followed by the signal's number.
enum init_order {
  ORDER_MOUNTS_MAPPED = 'm',
  ORDER_START = 's',
  ORDER_SIGNAL = 'k',
  ORDER_GO_ON = 'g',
};
