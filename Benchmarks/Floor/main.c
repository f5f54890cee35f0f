// The floor under every sandbox: what the kernel itself takes, with no walls but namespaces, no supervisor, no receipt.
//
// Reads commands from standard input, a line each, and answers each with one number:
//   ready         ms from clone3 (with every namespace, in a network namespace made before) to the end of /bin/true
//   sustained S   such processes a second over S seconds on all cores, each with a new network namespace and a veth pair
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/veth.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const unsigned long others = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                                    CLONE_NEWCGROUP | CLONE_NEWTIME;
static int home;  // network namespace of this process

static void must(long result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void run_program(void) {
  struct clone_args arguments = {.flags = others, .exit_signal = SIGCHLD};
  long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  must(child, "clone3");
  if (child == 0) {
    execl("/bin/true", "true", NULL);
    _exit(127);
  }
  int status;
  must(waitpid((pid_t)child, &status, 0), "waitpid");
  if (status != 0) { fprintf(stderr, "floor: /bin/true ended with %d\n", status); exit(1); }
}

static size_t put(char *buffer, size_t at, unsigned short type, const void *data, size_t length) {
  struct rtattr attribute = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(length)};
  memcpy(buffer + at, &attribute, sizeof attribute);
  if (data) memcpy(buffer + at + RTA_LENGTH(0), data, length);
  return at + RTA_ALIGN(RTA_LENGTH(length));
}

// A veth pair, one end here, the other in the network namespace `home`.
static void make_pair(void) {
  char buffer[512] = {0};
  struct nlmsghdr header = {.nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK};
  size_t at = NLMSG_LENGTH(sizeof(struct ifinfomsg));
  size_t information = at;
  at = put(buffer, at, IFLA_LINKINFO, NULL, 0);
  at = put(buffer, at, IFLA_INFO_KIND, "veth", 4);
  size_t data = at;
  at = put(buffer, at, IFLA_INFO_DATA, NULL, 0);
  size_t peer = at;
  at = put(buffer, at, VETH_INFO_PEER, NULL, sizeof(struct ifinfomsg));
  at = put(buffer, at, IFLA_NET_NS_FD, &home, sizeof home);
  ((struct rtattr *)(buffer + peer))->rta_len = (unsigned short)(at - peer);
  ((struct rtattr *)(buffer + data))->rta_len = (unsigned short)(at - data);
  ((struct rtattr *)(buffer + information))->rta_len = (unsigned short)(at - information);
  header.nlmsg_len = (unsigned)at;
  memcpy(buffer, &header, sizeof header);
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  must(netlink, "socket");
  must(send(netlink, buffer, at, 0), "send");
  must(recv(netlink, buffer, sizeof buffer, 0), "recv");
  int code = ((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)buffer))->error;
  if (code != 0) { errno = -code; must(-1, "veth"); }
  close(netlink);
}

static double ready(void) {
  must(unshare(CLONE_NEWNET), "unshare");
  int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  must(network, "open /proc/self/ns/net");
  must(setns(home, CLONE_NEWNET), "setns");
  double start = now();
  must(setns(network, CLONE_NEWNET), "setns");
  run_program();
  double end = now();
  must(setns(home, CLONE_NEWNET), "setns");
  close(network);
  return end - start;
}

// Each worker counts for itself and reports by a pipe.
static double sustained(double seconds) {
  long workers = sysconf(_SC_NPROCESSORS_ONLN);
  int ends[2];
  must(pipe(ends), "pipe");
  double start = now();
  for (long i = 0; i < workers; i++) {
    pid_t worker = fork();
    must(worker, "fork");
    if (worker) continue;
    int count = 0;
    while (now() - start < seconds * 1e3) {
      must(unshare(CLONE_NEWNET), "unshare");
      make_pair();
      run_program();
      must(setns(home, CLONE_NEWNET), "setns");
      count++;
    }
    _exit(write(ends[1], &count, sizeof count) != sizeof count);
  }
  int total = 0, count;
  for (long i = 0; i < workers; i++) {
    must(read(ends[0], &count, sizeof count), "read");
    total += count;
  }
  double end = now();
  while (wait(NULL) > 0) {}
  close(ends[0]);
  close(ends[1]);
  return total / ((end - start) / 1e3);
}

int main(void) {
  // The pairs' other ends land in a namespace of our own, not in the host's.
  must(unshare(CLONE_NEWNET), "unshare (needs root)");
  home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  must(home, "open /proc/self/ns/net");
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    double seconds;
    if (strcmp(line, "ready\n") == 0) printf("%.4f\n", ready());
    else if (sscanf(line, "sustained %lf", &seconds) == 1) printf("%.2f\n", sustained(seconds));
    else { fprintf(stderr, "floor: what is '%s'?\n", line); return 2; }
    fflush(stdout);
  }
}
