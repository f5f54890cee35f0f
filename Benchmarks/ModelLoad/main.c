// The two ends of a model gateway that is measured: a provider that answers the same at once, and clients.
//
//   upstream PORT                        serves until it is killed; prints its port
//   load PORT[,PORT…] KIND CLIENTS SECONDS [MODEL]
//     KIND json: whole answers; stream: event streams, timed to the first byte of the answer's body;
//     hold: opens CLIENTS streams, prints "held", keeps them until standard input ends
//
// `load` prints: requests a second, p50 and p99 in ms. Clients keep their connections and ask again at once.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { most = 4096, room = 16384, samples = 1 << 20 };

static void must(long result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "model-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void put(int socket, const char *bytes, size_t count) {
  // Small beside a socket's buffer: it is taken whole or the other end is gone.
  if (send(socket, bytes, count, MSG_NOSIGNAL) != (ssize_t)count) close(socket);
}

// Where the body begins; 0 before the head is whole.
static size_t body_start(const char *bytes) {
  const char *end = strstr(bytes, "\r\n\r\n");
  return end ? (size_t)(end - bytes) + 4 : 0;
}

static size_t content_length(const char *bytes) {
  const char *field = strcasestr(bytes, "\r\ncontent-length:");
  return field ? strtoul(field + 17, NULL, 10) : 0;
}

struct peer { int socket; size_t have; double since; bool timed; char bytes[room + 1]; };
static struct peer *peers[65536];

static struct peer *peer(int socket) {
  if (!peers[socket]) peers[socket] = malloc(sizeof(struct peer));
  if (!peers[socket]) must(-1, "malloc");
  peers[socket]->socket = socket;
  peers[socket]->have = 0;
  peers[socket]->timed = false;
  return peers[socket];
}

static void watch(int poll, struct peer *peer) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
  must(epoll_ctl(poll, EPOLL_CTL_ADD, peer->socket, &event), "epoll_ctl");
}

// MARK: The provider

static const char *answer =
    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\",\"content\":[{\"type\":\"text\","
    "\"text\":\"A burrow is a hole that an animal digs.\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":12,\"output_tokens\":11}}";
static const char *opening =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
    "\"role\":\"assistant\",\"model\":\"bench\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n"
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
    "{\"type\":\"text\",\"text\":\"\"}}\n\n";
static const char *closing =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
    "{\"type\":\"text_delta\",\"text\":\"A burrow.\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
    "\"stop_sequence\":null},\"usage\":{\"output_tokens\":11}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static void reply(int socket, const char *request) {
  char out[4096];
  // JSON writers differ in the space after a colon. A stream whose request says "hold" is begun and never ended.
  bool streams = strstr(request, "\"stream\":true") || strstr(request, "\"stream\": true");
  bool holds = strstr(request, "please hold") != NULL;
  int count;
  if (!streams)
    count = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(answer), answer);
  else if (holds)
    count = snprintf(out, sizeof out,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "%zx\r\n%s\r\n", strlen(opening), opening);
  else
    count = snprintf(out, sizeof out,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "%zx\r\n%s\r\n%zx\r\n%s\r\n0\r\n\r\n", strlen(opening), opening, strlen(closing), closing);
  put(socket, out, (size_t)count);
}

static void upstream(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  must(listener, "socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
  must(listen(listener, 4096), "listen");
  must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  must(poll, "epoll_create1");
  watch(poll, peer(listener));
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(poll, events, 256, -1);
    if (count < 0 && errno == EINTR) continue;
    must(count, "epoll_wait");
    for (int i = 0; i < count; i++) {
      struct peer *from = events[i].data.ptr;
      if (from->socket == listener) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(poll, peer(client));
        continue;
      }
      ssize_t got = recv(from->socket, from->bytes + from->have, room - from->have, 0);
      if (got <= 0) { close(from->socket); continue; }
      from->have += (size_t)got;
      from->bytes[from->have] = 0;
      size_t start = body_start(from->bytes);
      if (!start || from->have < start + content_length(from->bytes)) continue;
      from->have = 0;
      reply(from->socket, from->bytes);
    }
  }
}

// MARK: Clients

static char request[2048];
static size_t request_size;

static void ask(struct peer *peer) {
  peer->have = 0;
  peer->timed = false;
  peer->since = now();
  put(peer->socket, request, request_size);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void load(char *ports, const char *kind, int clients, double seconds, const char *model) {
  bool streams = strcmp(kind, "json") != 0, holds = strcmp(kind, "hold") == 0;
  char body[512];
  int count = snprintf(body, sizeof body,
                       "{\"model\":\"%s\",\"max_tokens\":64,%s\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", model,
                       streams ? "\"stream\":true," : "", holds ? "please hold" : "What is a burrow?");
  request_size = (size_t)snprintf(request, sizeof request,
                                  "POST /v1/messages HTTP/1.1\r\nHost: model\r\nx-api-key: bench-token\r\n"
                                  "anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\n"
                                  "Content-Length: %d\r\n\r\n%s", count, body);
  int port[most], servers = 0;
  for (char *word = strtok(ports, ","); word && servers < most; word = strtok(NULL, ",")) port[servers++] = atoi(word);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  must(poll, "epoll_create1");
  for (int i = 0; i < clients; i++) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    must(client, "socket");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port[i % servers])};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(connect(client, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct peer *made = peer(client);
    watch(poll, made);
    ask(made);
  }
  static double times[samples];
  long taken = 0, whole = 0;
  int held = 0;
  double start = now(), end = start + seconds * 1e3;
  struct epoll_event events[256];
  while (now() < end) {
    int ready = epoll_wait(poll, events, 256, 100);
    for (int i = 0; i < ready; i++) {
      struct peer *from = events[i].data.ptr;
      ssize_t got = recv(from->socket, from->bytes + from->have, room - from->have, 0);
      if (got <= 0) { fprintf(stderr, "model-load: a connection ended: %s\n", from->bytes); exit(1); }
      from->have += (size_t)got;
      from->bytes[from->have] = 0;
      size_t at = body_start(from->bytes);
      if (!at) continue;
      if (strncmp(from->bytes, "HTTP/1.1 200", 12)) { fprintf(stderr, "model-load: %s\n", from->bytes); exit(1); }
      if (streams && !from->timed && from->have > at) {
        from->timed = true;
        if (taken < samples) times[taken++] = now() - from->since;
        held++;
      }
      bool done = streams ? from->have >= 5 && !memcmp(from->bytes + from->have - 5, "0\r\n\r\n", 5)
                          : from->have >= at + content_length(from->bytes) && content_length(from->bytes);
      if (!done) continue;
      if (!streams && taken < samples) times[taken++] = now() - from->since;
      whole++;
      ask(from);
    }
    if (holds && held == clients) {
      printf("held\n");
      fflush(stdout);
      while (getchar() != EOF) {}
      return;
    }
  }
  if (holds || !taken) { fprintf(stderr, "model-load: %d of %d streams were opened\n", held, clients); exit(1); }
  double took = (now() - start) / 1e3;
  qsort(times, (size_t)taken, sizeof times[0], compare);
  printf("%.1f %.4f %.4f\n", (double)whole / took, times[taken / 2], times[taken * 99 / 100]);
}

int main(int count, char **words) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (count == 3 && !strcmp(words[1], "upstream")) upstream(atoi(words[2]));
  else if (count >= 6 && !strcmp(words[1], "load"))
    load(words[2], words[3], atoi(words[4]), atof(words[5]), count > 6 ? words[6] : "bench");
  else { fprintf(stderr, "usage: upstream PORT | load PORTS json|stream|hold CLIENTS SECONDS [MODEL]\n"); return 2; }
}
