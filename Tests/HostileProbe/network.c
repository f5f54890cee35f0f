// Sockets: which there are, and where they reach.
#include "probe.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

// word: domain, type, protocol; a domain may have more than 32 bits.
static long make_socket(char **word) {
  return syscall(SYS_socket, strtoul(word[0], NULL, 0), strtoul(word[1], NULL, 0), strtoul(word[2], NULL, 0));
}
static long make_pair(char **word) {
  int ends[2];
  return syscall(SYS_socketpair, strtoul(word[0], NULL, 0), SOCK_STREAM, 0, ends);
}

static socklen_t address(char **word, struct sockaddr_storage *storage) {
  struct sockaddr_in *four = (void *)storage;
  struct sockaddr_in6 *six = (void *)storage;
  memset(storage, 0, sizeof *storage);
  if (inet_pton(AF_INET, word[0], &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(atoi(word[1]));
    return sizeof *four;
  }
  char host[128];
  snprintf(host, sizeof host, "%s", word[0]);
  char *zone = strchr(host, '%');
  if (zone) *zone++ = 0;
  inet_pton(AF_INET6, host, &six->sin6_addr);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(atoi(word[1]));
  six->sin6_scope_id = zone ? if_nametoindex(zone) : 0;
  return sizeof *six;
}

// Waits for a connection under way: long enough for a packet that a busy machine lost to be sent again, which happens
// after a second. A network that stays silent answers with ETIMEDOUT.
static long connect_within(int socket, struct sockaddr_storage *to, socklen_t length) {
  if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0) return -1;
  if (syscall(SYS_connect, socket, to, length) == 0) return 0;
  if (errno != EINPROGRESS) return -1;
  struct pollfd waiting = {socket, POLLOUT, 0};
  if (poll(&waiting, 1, 5000) == 0) { errno = ETIMEDOUT; return -1; }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error ? -1 : 0;
}

// word: address, port.
static long connect_tcp(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word, &to);
  int socket = syscall(SYS_socket, to.ss_family, SOCK_STREAM, 0);
  return socket < 0 ? -1 : connect_within(socket, &to, length);
}
// A question and its answer.
static long ask_udp(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word, &to);
  int socket = syscall(SYS_socket, to.ss_family, SOCK_DGRAM, 0);
  if (socket < 0 || syscall(SYS_connect, socket, &to, length) < 0) return -1;
  struct pollfd waiting = {socket, POLLIN, 0};
  for (int attempt = 0; attempt < 4; attempt++) {
    if (send(socket, "?", 1, 0) < 0) return -1;
    char answer;
    if (poll(&waiting, 1, 1000) > 0) return recv(socket, &answer, 1, 0);
  }
  errno = ETIMEDOUT;
  return -1;
}
// word: our address, then where to.
static long connect_from(char **word) {
  struct sockaddr_storage from, to;
  char *own[] = {word[0], "0"};
  socklen_t length = address(own, &from);
  int socket = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), one = 1;
  // An address that isn't ours can be bound with this, without any right.
  if (socket < 0 || setsockopt(socket, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) < 0) return -1;
  if (syscall(SYS_bind, socket, &from, length) < 0) return -1;
  length = address(word + 1, &to);
  return connect_within(socket, &to, length);
}
// Sends one datagram with another's address as its sender. word: that address, then where to.
static long send_from(char **word) {
  struct sockaddr_storage from, to;
  char *own[] = {word[0], "0"};
  socklen_t length = address(own, &from);
  int socket = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0), one = 1;
  if (socket < 0 || setsockopt(socket, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) < 0) return -1;
  if (syscall(SYS_bind, socket, &from, length) < 0) return -1;
  length = address(word + 1, &to);
  return syscall(SYS_sendto, socket, "?", 1UL, 0, &to, length);
}
// With another protocol than TCP. word: type, protocol, address, port.
static long connect_protocol(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word + 2, &to);
  int socket = syscall(SYS_socket, to.ss_family, atoi(word[0]), atoi(word[1]));
  return socket < 0 ? -1 : connect_within(socket, &to, length);
}
// Data with the first packet, without a connect(2).
static long fast_open(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word, &to);
  int socket = syscall(SYS_socket, to.ss_family, SOCK_STREAM, 0);
  if (socket < 0) return -1;
  return syscall(SYS_sendto, socket, "x", 1UL, MSG_FASTOPEN | MSG_NOSIGNAL, &to, length);
}
// To everybody on the link. word: address, port.
static long broadcast(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word, &to);
  int socket = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0), one = 1;
  if (socket < 0 || setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &one, sizeof one) < 0) return -1;
  if (syscall(SYS_connect, socket, &to, length) < 0 || send(socket, "?", 1, 0) < 0) return -1;
  // A refusal comes as an error of the socket.
  struct pollfd waiting = {socket, POLLIN, 0};
  char answer;
  if (poll(&waiting, 1, 300) == 0) return say("nobody");
  return recv(socket, &answer, 1, 0) < 0 ? -1 : 0;
}
// word: address, port.
static long bind_to(char **word) {
  struct sockaddr_storage at;
  socklen_t length = address(word, &at);
  int socket = syscall(SYS_socket, at.ss_family, SOCK_STREAM, 0);
  return socket < 0 ? -1 : syscall(SYS_bind, socket, &at, length);
}
// Reaches itself by its own loopback.
static long talk_to_itself(char **word) {
  char port[16];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
  socklen_t size = sizeof at;
  int server = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (server < 0 || bind(server, (void *)&at, size) < 0 || listen(server, 1) < 0 || getsockname(server, (void *)&at, &size) < 0)
    return -1;
  snprintf(port, sizeof port, "%d", ntohs(at.sin_port));
  char *to[] = {"127.0.0.1", port};
  (void)word;
  return connect_tcp(to);
}
static long be_transparent(char **word) {
  (void)word;
  int socket = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), one = 1;
  return socket < 0 ? -1 : setsockopt(socket, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof one);
}
// word: level, option; a value of one int.
static long set_option(char **word) {
  int socket = syscall(SYS_socket, atoi(word[0]) == IPPROTO_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0), value = 7;
  return socket < 0 ? -1 : syscall(SYS_setsockopt, socket, atoi(word[0]), atoi(word[1]), &value, sizeof value);
}
// Old ways to set up a network: they need no netlink. word: flags, address or route.
static long set_network(char **word) {
  int socket = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090000)};
  if (socket < 0) return -1;
  if (strcmp(word[0], "route") == 0) {
    struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = "lo"};
    memcpy(&route.rt_dst, &address, sizeof address);
    address.sin_addr.s_addr = htonl(0xffff0000);
    memcpy(&route.rt_genmask, &address, sizeof address);
    return syscall(SYS_ioctl, socket, SIOCADDRT, &route);
  }
  struct ifreq request = {.ifr_name = "lo"};
  if (strcmp(word[0], "arp") == 0) {
    struct arpreq entry = {.arp_flags = ATF_PERM | ATF_COM, .arp_dev = "lo"};
    memcpy(&entry.arp_pa, &address, sizeof address);
    entry.arp_ha.sa_family = ARPHRD_ETHER;
    return syscall(SYS_ioctl, socket, SIOCSARP, &entry);
  }
  if (strcmp(word[0], "bridge") == 0) return syscall(SYS_ioctl, socket, SIOCBRADDBR, "probe0");
  if (strcmp(word[0], "mtu") == 0) {
    request.ifr_mtu = 1400;
    return syscall(SYS_ioctl, socket, SIOCSIFMTU, &request);
  }
  if (strcmp(word[0], "queue") == 0) {
    request.ifr_qlen = 10;
    return syscall(SYS_ioctl, socket, SIOCSIFTXQLEN, &request);
  }
  if (strcmp(word[0], "flags") == 0) return syscall(SYS_ioctl, socket, SIOCSIFFLAGS, &request);
  memcpy(&request.ifr_addr, &address, sizeof address);
  return syscall(SYS_ioctl, socket, SIOCSIFADDR, &request);
}

// Reads what a server says first.
static long hear_tcp(char **word) {
  struct sockaddr_storage to;
  socklen_t length = address(word, &to);
  int socket = syscall(SYS_socket, to.ss_family, SOCK_STREAM, 0);
  if (socket < 0 || syscall(SYS_connect, socket, &to, length) < 0) return -1;
  char text[64] = "";
  if (recv(socket, text, sizeof text - 1, 0) < 0) return -1;
  return say(text);
}

// Undoes `%0d` and the like.
static size_t unescape(const char *text, char *bytes, size_t room) {
  size_t count = 0;
  while (*text && count < room) {
    unsigned code;
    if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1) { bytes[count++] = (char)code; text += 3; }
    else bytes[count++] = *text++;
  }
  return count;
}
// What a proxy answered, in short: its status, then what came through it, or the reason that it gave.
static void shorten(char *answer, char *out, size_t room) {
  char *body = strstr(answer, "\r\n\r\n");
  if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || !body) { snprintf(out, room, "%s", *answer ? answer : "nothing"); out[strcspn(out, "\r\n")] = 0; return; }
  body += 4;
  char *reason = strstr(body, " is not ");
  if (reason) body = reason + 4;
  body[strcspn(body, "\r\n,;")] = 0;
  snprintf(out, room, "%.3s%s%s", answer + 9, *body ? " " : "", body);
}
// Asks a proxy, once for each text: word: its address and port, then what to send, with `%` for bytes. Prints its answers.
static long through(char **word) {
  char line[1024] = "";
  for (char **text = word + 2; *text; text++) {
    struct sockaddr_storage to;
    socklen_t length = address(word, &to);
    int socket = syscall(SYS_socket, to.ss_family, SOCK_STREAM, 0);
    if (socket < 0 || connect_within(socket, &to, length) < 0) return -1;
    char bytes[4096], answer[4096], part[256];
    size_t count = unescape(*text, bytes, sizeof bytes - 1), size = 0;
    bytes[count] = 0;
    if (send(socket, bytes, count, MSG_NOSIGNAL) < 0) return -1;
    // What has no end would be waited for.
    if (!memmem(bytes, count, "\r\n\r\n", 4)) shutdown(socket, SHUT_WR);
    struct pollfd waiting = {socket, POLLIN, 0};
    while (size < sizeof answer - 1) {
      if (poll(&waiting, 1, 8000) <= 0) { errno = ETIMEDOUT; return -1; }
      ssize_t got = recv(socket, answer + size, sizeof answer - 1 - size, 0);
      if (got <= 0) break;
      size += (size_t)got;
    }
    close(socket);
    answer[size] = 0;
    shorten(answer, part, sizeof part);
    snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", *line ? ", " : "", part);
  }
  return say(line);
}

// A name that begins with '@' is abstract.
static long connect_unix(char **word) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = strlen(word[0]);
  memcpy(to.sun_path, word[0], length);
  if (word[0][0] == '@') to.sun_path[0] = 0;
  int socket = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  return socket < 0 ? -1 : syscall(SYS_connect, socket, &to, offsetof(struct sockaddr_un, sun_path) + length);
}

// word: tcp or udp, address, port, then the act to perform beside such a server.
static long serving(char **word) {
  struct sockaddr_storage at;
  socklen_t length = address(word + 1, &at);
  int udp = strcmp(word[0], "udp") == 0, server = socket(at.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (server < 0 || bind(server, (void *)&at, length) < 0 || (!udp && listen(server, 1) < 0)) return -1;
  long child = udp ? fork() : 1;
  if (child == 0) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char byte;
    alarm(10);
    recvfrom(server, &byte, 1, 0, (void *)&peer, &size);
    sendto(server, "!", 1, 0, (void *)&peer, size);
    _exit(0);
  }
  run_act(word + 3);
  if (udp) { kill(child, SIGKILL); waitpid(child, NULL, 0); }
  return SAID;
}

// A server on a Unix socket; a name that begins with '@' is abstract.
static int unix_server(const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  memcpy(at.sun_path, name, strlen(name));
  if (name[0] == '@') at.sun_path[0] = 0;
  int local = socket(AF_UNIX, SOCK_STREAM, 0);
  if (local < 0 || bind(local, (void *)&at, offsetof(struct sockaddr_un, sun_path) + strlen(name)) < 0) return -1;
  return listen(local, 64);
}

// The other sandbox: word: text for /workspace/marker, port. Prints its address, then stays.
static long neighbour(char **word) {
  char *gateway[] = {"198.18.0.1", "9"};
  struct sockaddr_storage to;
  struct sockaddr_in own, all = {.sin_family = AF_INET, .sin_port = htons(atoi(word[1]))};
  socklen_t length = address(gateway, &to), size = sizeof own;
  int file = open("/workspace/marker", O_WRONLY | O_CREAT, 0644), asking = socket(AF_INET, SOCK_DGRAM, 0);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (file < 0 || write(file, word[0], strlen(word[0])) < 0) return -1;
  if (connect(asking, (void *)&to, length) < 0 || getsockname(asking, (void *)&own, &size) < 0) return -1;
  if (bind(server, (void *)&all, sizeof all) < 0 || listen(server, 16) < 0) return -1;
  int asked = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(asked, (void *)&all, sizeof all) < 0) return -1;
  char name[128];
  snprintf(name, sizeof name, "@%s-neighbour", word[0]);
  if (unix_server(name) < 0) return -1;
  say(inet_ntoa(own.sin_addr));
  for (;;) {
    struct sockaddr_storage peer;
    char byte;
    size = sizeof peer;
    if (recvfrom(asked, &byte, 1, 0, (void *)&peer, &size) >= 0) sendto(asked, "!", 1, 0, (void *)&peer, size);
  }
}

static int shared = -1;
static void leave(int number) {
  (void)number;
  shmctl(shared, IPC_RMID, NULL);
  _exit(0);
}

// Tells a client which address it has reached, and waits until it has gone.
static void welcome(int server) {
  struct sockaddr_in own;
  socklen_t size = sizeof own;
  int client = accept(server, NULL, NULL);
  if (client < 0) return;
  if (fork() == 0) {
    char text[64], rest[512];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(10);
    getsockname(client, (void *)&own, &size);
    int length = snprintf(text, sizeof text, "hello %s\n", inet_ntoa(own.sin_addr));
    if (send(client, text, length, MSG_NOSIGNAL) > 0) shutdown(client, SHUT_WR);
    while (read(client, rest, sizeof rest) > 0) {}
    _exit(0);
  }
  close(client);
}

// A host's services. word: abstract name, path, number of a shared memory. Listens there, on a TCP and a UDP port of every
// address, and on another TCP port; prints the port, an address, and the other port.
static long stand(char **word) {
  struct sockaddr_in all = {.sin_family = AF_INET}, other = {.sin_family = AF_INET};
  socklen_t size = sizeof all;
  int tcp = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);
  if (tcp < 0 || bind(tcp, (void *)&all, size) < 0 || listen(tcp, 64) < 0 || getsockname(tcp, (void *)&all, &size) < 0) return -1;
  if (second < 0 || bind(second, (void *)&other, size) < 0 || listen(second, 64) < 0 || getsockname(second, (void *)&other, &size) < 0)
    return -1;
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  if (udp < 0 || bind(udp, (void *)&all, size) < 0 || unix_server(word[0]) < 0 || unix_server(word[1]) < 0) return -1;
  signal(SIGTERM, leave);
  signal(SIGCHLD, SIG_IGN);
  shared = shmget(atoi(word[2]), 4096, IPC_CREAT | IPC_EXCL | 0666);
  if (shared < 0) return -1;
  const char *own = "127.0.0.1";
  struct ifaddrs *first;
  if (getifaddrs(&first) < 0) return -1;
  for (struct ifaddrs *entry = first; entry; entry = entry->ifa_next)
    if (entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET && !(entry->ifa_flags & IFF_LOOPBACK))
      own = inet_ntoa(((struct sockaddr_in *)entry->ifa_addr)->sin_addr);
  char line[64];
  snprintf(line, sizeof line, "%d %s %d", ntohs(all.sin_port), own, ntohs(other.sin_port));
  say(line);
  struct pollfd waiting[] = {{tcp, POLLIN, 0}, {second, POLLIN, 0}, {udp, POLLIN, 0}};
  for (;;) {
    if (poll(waiting, 3, -1) < 0) continue;
    if (waiting[0].revents) welcome(tcp);
    if (waiting[1].revents) welcome(second);
    if (!waiting[2].revents) continue;
    struct sockaddr_storage peer;
    char byte;
    size = sizeof peer;
    if (recvfrom(udp, &byte, 1, 0, (void *)&peer, &size) >= 0) sendto(udp, "!", 1, 0, (void *)&peer, size);
  }
}

const struct act network_acts[] = {
    {"socket", make_socket},  {"socketpair", make_pair}, {"connect", connect_tcp},  {"udp", ask_udp},
    {"connect-from", connect_from}, {"transparent", be_transparent}, {"hear", hear_tcp}, {"connect-unix", connect_unix},
    {"serving", serving},     {"neighbour", neighbour},  {"stand", stand},
    {"send-from", send_from}, {"connect-protocol", connect_protocol}, {"fast-open", fast_open},
    {"broadcast", broadcast}, {"bind-to", bind_to},      {"talk-to-itself", talk_to_itself},
    {"setsockopt", set_option}, {"set-network", set_network}, {"through", through},
    {NULL, NULL},
};
