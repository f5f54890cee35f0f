#include "CInit.h"

// SwiftPM gives an executable's main this name.
extern int Init_main(int argc, char **argv);

// The kernel enters here with argc at the stack pointer; there is no libc to do it.
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call init_enter\n hlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl init_enter\n brk #1\n");
#endif

__attribute__((used, noreturn)) void init_enter(long *stack) {
  long code = Init_main((int)stack[0], (char **)(stack + 1));
  for (;;) sys6(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

long init_receive(int socket, void *bytes, size_t count) {
  // Room for SCM_MAX_FD descriptors behind a cmsghdr.
  static long space[2 + 253 / 2 + 1];
  struct init_iovec vector = {bytes, count};
  struct init_msghdr message = {.vectors = &vector, .vector_count = 1, .control = space, .control_length = sizeof space};
  return sys6(SYS_recvmsg, socket, (long)&message, 0x40000000 /* MSG_CMSG_CLOEXEC */, 0, 0, 0);
}

// The compiler may call these for copies and zeroing; nothing else provides them here.
__attribute__((used)) void *memcpy(void *to, const void *from, size_t count) {
  char *t = to;
  const char *f = from;
  while (count--) *t++ = *f++;
  return to;
}
__attribute__((used)) void *memmove(void *to, const void *from, size_t count) {
  char *t = to;
  const char *f = from;
  if (t < f) return memcpy(to, from, count);
  while (count--) t[count] = f[count];
  return to;
}
__attribute__((used)) void *memset(void *to, int value, size_t count) {
  char *t = to;
  while (count--) *t++ = (char)value;
  return to;
}
