/*
 * fault SOCKET FOLDER PROGRAM [ARGUMENT...]: runs a program whose system calls on files below FOLDER can be made to fail.
 *
 * Bun makes some calls without the C library, so a preloaded library would miss them: the kernel asks this process
 * about every call (seccomp user notification) instead. Over the socket, a line each:
 *
 *     arm N ERRNO once|on|hang CALLS PART
 *                              the Nth call from now on fails with ERRNO; with "on", all behind it too. With "hang" it
 *                              and all behind it are not answered before "disarm", as on a disk that does not answer.
 *                              CALLS is "changes" or "reads", or names with commas: "fsync,fdatasync". A write to a
 *                              file that was opened with O_DSYNC is a fdatasync too. Of the files
 *                              below FOLDER, those count whose path has PART in it, or ends in it where a "$" is
 *                              behind PART; "-" is all.
 *     disarm                   nothing fails any more; the answer is "<calls seen> <calls failed> <first that failed>"
 *
 * With FAULT_KILL_AT=N in the environment the program is killed in place of the Nth such call from its start on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum subject { descriptor, descriptor_second, path_first, path_second };

static const struct call {
  int number;
  const char *name;
  enum subject subject;
  const char *kind;
} calls[] = {
    {SYS_write, "write", descriptor, "changes"},
    {SYS_pwrite64, "pwrite64", descriptor, "changes"},
    {SYS_writev, "writev", descriptor, "changes"},
    {SYS_pwritev, "pwritev", descriptor, "changes"},
    {SYS_fsync, "fsync", descriptor, "changes"},
    {SYS_fdatasync, "fdatasync", descriptor, "changes"},
    {SYS_ftruncate, "ftruncate", descriptor, "changes"},
    {SYS_openat, "openat", path_second, NULL},
    {SYS_renameat2, "renameat2", path_second, "changes"},
    {SYS_linkat, "linkat", path_second, "changes"},
    {SYS_unlinkat, "unlinkat", path_second, "changes"},
    {SYS_mkdirat, "mkdirat", path_second, "changes"},
    {SYS_read, "read", descriptor, "reads"},
    {SYS_pread64, "pread64", descriptor, "reads"},
    {SYS_readv, "readv", descriptor, "reads"},
    {SYS_preadv, "preadv", descriptor, "reads"},
    {SYS_sendfile, "sendfile", descriptor_second, "reads"},
    {SYS_copy_file_range, "copy_file_range", descriptor, "reads"},
    {SYS_splice, "splice", descriptor, "reads"},
    {SYS_fstat, "fstat", descriptor, "reads"},
    {SYS_statx, "statx", path_second, "reads"},
    {SYS_getdents64, "getdents64", descriptor, "reads"},
#ifdef SYS_newfstatat
    {SYS_newfstatat, "newfstatat", path_second, "reads"},
#endif
#ifdef SYS_open
    {SYS_open, "open", path_first, NULL},
    {SYS_stat, "stat", path_first, "reads"},
    {SYS_lstat, "lstat", path_first, "reads"},
    {SYS_rename, "rename", path_first, "changes"},
    {SYS_unlink, "unlink", path_first, "changes"},
    {SYS_mkdir, "mkdir", path_first, "changes"},
    {SYS_link, "link", path_first, "changes"},
    {SYS_renameat, "renameat", path_second, "changes"},
#endif
};
#define CALLS (sizeof calls / sizeof *calls)

static pid_t child;
static const char *folder;
static long armed_at, armed_errno, seen, failed;
static int stays, hangs, kills;
static char wanted[256] = "changes", part[256] = "-";
static const char *first = "none";
/* Questions that wait for "disarm". */
static __u64 unanswered[1024];
static size_t waiting;

static void die(const char *what) {
  perror(what);
  exit(125);
}

static void forward(int signal) { kill(child, signal); }

/* In the child: every call of the list is asked about; gives the descriptor on which the questions come. */
static int install(void) {
  struct sock_filter filter[CALLS + 4];
  size_t length = 0;
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < CALLS; i++)
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, CALLS - i, 0);
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = {length, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no_new_privs");
  int notify = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (notify < 0) die("seccomp");
  return notify;
}

static void send_descriptor(int socket, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(socket, &message, 0) < 0) die("sendmsg");
}

static int receive_descriptor(int socket) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd;
  if (recvmsg(socket, &message, 0) < 1 || CMSG_FIRSTHDR(&message) == NULL) die("the program did not start");
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

/* What the call is about, if that can be told. */
static int subject_of(const struct seccomp_notif *question, const struct call *call, char *path) {
  const __u64 *args = question->data.args;
  if (call->subject == descriptor || call->subject == descriptor_second) {
    char link[64];
    int fd = (int)args[call->subject == descriptor ? 0 : 1];
    snprintf(link, sizeof link, "/proc/%u/fd/%d", question->pid, fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
  }
  /* A page at a time: the text may end just before memory that is not there. */
  unsigned long from = args[call->subject == path_second ? 1 : 0];
  size_t got = 0;
  while (got < PATH_MAX - 1) {
    size_t part = 4096 - (from + got) % 4096;
    if (part > PATH_MAX - 1 - got) part = PATH_MAX - 1 - got;
    struct iovec here = {path + got, part}, there = {(void *)(from + got), part};
    if (process_vm_readv(question->pid, &here, 1, &there, 1, 0) < (ssize_t)part) return 0;
    if (memchr(path + got, 0, part)) return 1;
    got += part;
  }
  return 0;
}

/* An open counts as a change where it may make the file. */
static const char *kind_of(const struct seccomp_notif *question, const struct call *call) {
  if (call->kind != NULL) return call->kind;
  int flags = question->data.args[call->subject == path_second ? 2 : 1];
  return flags & O_CREAT ? "changes" : "reads";
}

static int is_named(const char *name) {
  size_t length = strlen(name);
  for (const char *at = wanted; (at = strstr(at, name)) != NULL; at += length) {
    if ((at == wanted || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return 1;
  }
  return 0;
}

/* Whether a write is durable when it returns. */
static int syncs(const struct seccomp_notif *question) {
  char place[64], line[128];
  snprintf(place, sizeof place, "/proc/%u/fdinfo/%d", question->pid, (int)question->data.args[0]);
  FILE *info = fopen(place, "r");
  unsigned long flags = 0;
  while (info != NULL && fgets(line, sizeof line, info) != NULL && sscanf(line, "flags: %lo", &flags) != 1) continue;
  if (info != NULL) fclose(info);
  return (flags & O_DSYNC) != 0;
}

static int is_wanted(const struct seccomp_notif *question, const struct call *call) {
  if (!strcmp(wanted, kind_of(question, call)) || is_named(call->name)) return 1;
  return call->number == SYS_write && is_named("fdatasync") && syncs(question);
}

static int is_about(const char *path) {
  if (!strcmp(part, "-")) return 1;
  size_t length = strlen(part), whole = strlen(path);
  if (part[length - 1] != '$') return strstr(path, part) != NULL;
  return whole >= length - 1 && !strncmp(path + whole - (length - 1), part, length - 1);
}

static int verdict(const struct seccomp_notif *question) {
  char path[PATH_MAX];
  size_t length = strlen(folder);
  const struct call *call = calls;
  while (call < calls + CALLS && call->number != question->data.nr) call++;
  if (call == calls + CALLS || armed_at == 0 || !is_wanted(question, call)) return 0;
  if (!subject_of(question, call, path) || strncmp(path, folder, length)) return 0;
  if (!is_about(path + length)) return 0;
  seen++;
  if (seen != armed_at && !(stays && seen > armed_at)) return 0;
  if (kills) kill(child, SIGKILL);
  if (failed++ == 0) first = call->name;
  return armed_errno;
}

static void answer(int notify) {
  struct seccomp_notif question = {0};
  if (ioctl(notify, SECCOMP_IOCTL_NOTIF_RECV, &question)) return;
  int error = verdict(&question);
  if (error != 0 && hangs && waiting < sizeof unanswered / sizeof *unanswered) {
    unanswered[waiting++] = question.id;
    return;
  }
  struct seccomp_notif_resp reply = {.id = question.id, .error = -error};
  if (error == 0) reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ioctl(notify, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static void let_go(int notify) {
  while (waiting > 0) {
    struct seccomp_notif_resp reply = {.id = unanswered[--waiting], .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(notify, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  }
}

/* Whether the peer is still there. */
static int obey(int peer, int notify) {
  char line[1024], mode[8], reply[128] = "ok\n";
  ssize_t length = read(peer, line, sizeof line - 1);
  if (length <= 0) return 0;
  line[length] = 0;
  long at, error;
  if (sscanf(line, "arm %ld %ld %7s %255s %255s", &at, &error, mode, wanted, part) == 5) {
    armed_at = at, armed_errno = error, hangs = !strcmp(mode, "hang"), stays = hangs || !strcmp(mode, "on");
    seen = failed = 0, first = "none";
  } else {
    snprintf(reply, sizeof reply, "%ld %ld %s\n", seen, failed, first);
    armed_at = 0;
    let_go(notify);
  }
  return write(peer, reply, strlen(reply)) > 0;
}

int main(int count, char **arguments) {
  if (count < 4) return 125;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", arguments[1]);
  folder = arguments[2];
  const char *kill_at = getenv("FAULT_KILL_AT");
  if (kill_at) kills = 1, stays = 1, armed_at = atol(kill_at), armed_errno = EIO;
  int pair[2], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) die("bind");
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) die("socketpair");
  child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    send_descriptor(pair[1], install());
    execvp(arguments[3], arguments + 3);
    die(arguments[3]);
  }
  signal(SIGTERM, forward);
  signal(SIGINT, forward);
  signal(SIGPIPE, SIG_IGN);
  close(pair[1]);
  int notify = receive_descriptor(pair[0]);
  for (;;) {
    struct pollfd wait[] = {{notify, POLLIN, 0}, {listener, POLLIN, 0}, {peer, POLLIN, 0}};
    if (poll(wait, 3, -1) < 0 && errno != EINTR) die("poll");
    if (wait[0].revents & POLLIN) answer(notify);
    else if (wait[0].revents & POLLHUP) break;
    if (wait[1].revents & POLLIN) peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (wait[2].revents & (POLLIN | POLLHUP) && !obey(peer, notify)) peer = -1;
  }
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
