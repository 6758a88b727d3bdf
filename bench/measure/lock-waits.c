/*
 * Preloaded into a server, tells of SQLite's lock of the one who writes. SQLite takes it with fcntl of the C library, a
 * byte of the index of its log (wal.c, WAL_WRITE_LOCK). For each time that a thread had it a line goes to the end of the
 * file that LOCK_WAITS_FILE names, once the lock is given back:
 *
 *     PROCESS WAITED HELD      in nanoseconds: from the first refusal to the lock, and from there to its end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int call(int fd, int command, ...);

static call *real;
static int output = -1;
/* Of this thread, 0 where it is not so: since when it is refused, and since when it has the lock. */
static __thread long long refused_at, got_at;

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void tell(long long end) {
  char line[96];
  long long waited = refused_at == 0 ? 0 : got_at - refused_at;
  int length = snprintf(line, sizeof line, "%d %lld %lld\n", getpid(), waited, end - got_at);
  if (output >= 0 && write(output, line, length) != length) abort();
}

static void note(const struct flock *lock, int answer, int error) {
  if (lock->l_whence != SEEK_SET || lock->l_start != 120 || lock->l_len != 1) return;
  if (lock->l_type == F_WRLCK && answer == 0) got_at = now();
  if (lock->l_type == F_WRLCK && answer != 0 && (error == EAGAIN || error == EACCES) && refused_at == 0) refused_at = now();
  if (lock->l_type == F_UNLCK && got_at != 0) {
    tell(now());
    refused_at = got_at = 0;
  }
}

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("LOCK_WAITS_FILE");
  real = (call *)dlsym(RTLD_NEXT, "fcntl");
  if (file != NULL) output = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  /* Another library's constructor may come first. */
  if (real == NULL) real = (call *)dlsym(RTLD_NEXT, "fcntl");
  int answer = real(fd, command, argument), error = errno;
  if (command == F_SETLK) note(argument, answer, error);
  errno = error;
  return answer;
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));
