/* Loaded into a process by LD_PRELOAD, it is a disk that refuses what the first octet of the file in REFUSE selects:
 *   0  nothing
 *   1  to write, to make, to cut or to remove files, as when it was mounted again read-only (EROFS)
 *   2  to sync (EIO)
 *   3  to read the clock in a receiving thread, once (EINVAL): Rust's library panics
 *   4  a call for a file or folder of the archive, once: the n-th, as octets 8 to 15 count down (EIO)
 *   5  to write files of the archive (ENOSPC)
 *   6  nothing, but calls for files of the archive wait until something else is selected
 * Only regular files are refused, not pipes and sockets. For the thread of the archive, the clock differs by the seconds in
 * octets 16 to 23. For all threads, and in the times that the kernel gives datagrams, it differs by those in octets 24 to 31. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile struct {
  char mode, unused[7];
  long nth, seconds, seconds_of_all;
} *control;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("REFUSE");
  int file = path ? open(path, O_RDWR) : -1;
  if (file >= 0) {
    void *mapped = mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    control = mapped == MAP_FAILED ? 0 : mapped;
    close(file);
  }
}

static int refused(int file, char what, int error) {
  struct stat found;
  if (!control || control->mode != what || (file >= 0 && (fstat(file, &found) || !S_ISREG(found.st_mode)))) return 0;
  errno = error;
  return 1;
}

/* The same for a call for a file of the archive, by its path or descriptor. */
static int struck(const char *path, int file, int writes) {
  char mode = control ? control->mode : '0', link[32], name[4096];
  if (mode < '4' || mode > '6' || (mode == '5' && !writes)) return 0;
  if (!path) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    path = name;
  }
  if (!strstr(path, "/flows")) return 0;
  while (control->mode == '6') usleep(10000);
  if (mode == '4') {
    if (__sync_sub_and_fetch(&control->nth, 1) != 0) return 0;
    control->mode = '0';
  }
  errno = mode == '5' ? ENOSPC : EIO;
  return mode != '6';
}

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *from, size_t octets) {
  return refused(file, '1', EROFS) || struck(0, file, 1) ? -1 : NEXT(write)(file, from, octets);
}
ssize_t pwrite(int file, const void *from, size_t octets, off_t at) {
  return refused(file, '1', EROFS) ? -1 : NEXT(pwrite)(file, from, octets, at);
}
ssize_t pwrite64(int file, const void *from, size_t octets, off64_t at) {
  return refused(file, '1', EROFS) ? -1 : NEXT(pwrite64)(file, from, octets, at);
}
ssize_t writev(int file, const struct iovec *from, int count) {
  return refused(file, '1', EROFS) ? -1 : NEXT(writev)(file, from, count);
}
int ftruncate(int file, off_t length) { return refused(file, '1', EROFS) ? -1 : NEXT(ftruncate)(file, length); }
int ftruncate64(int file, off64_t length) { return refused(file, '1', EROFS) ? -1 : NEXT(ftruncate64)(file, length); }
int unlink(const char *path) { return refused(-1, '1', EROFS) || struck(path, 0, 0) ? -1 : NEXT(unlink)(path); }
int rename(const char *from, const char *to) {
  return refused(-1, '1', EROFS) || struck(from, 0, 0) ? -1 : NEXT(rename)(from, to);
}
int mkdir(const char *path, mode_t rights) { return struck(path, 0, 1) ? -1 : NEXT(mkdir)(path, rights); }
DIR *opendir(const char *path) { return struck(path, 0, 0) ? 0 : NEXT(opendir)(path); }
int fsync(int file) { return refused(file, '2', EIO) || struck(0, file, 0) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return refused(file, '2', EIO) || struck(0, file, 0) ? -1 : NEXT(fdatasync)(file); }

#define OPEN(name)                                                         \
  int name(const char *path, int flags, ...) {                             \
    va_list more;                                                          \
    va_start(more, flags);                                                 \
    int rights = va_arg(more, int);                                        \
    va_end(more);                                                          \
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;       \
    if (writes && refused(-1, '1', EROFS)) return -1;                      \
    if (struck(path, 0, writes)) return -1;                                \
    return NEXT(name)(path, flags, rights);                                \
  }
OPEN(open)
OPEN(open64)

int clock_gettime(clockid_t clock, struct timespec *time) {
  char name[16];
  if (control && control->mode == '3' && !prctl(PR_GET_NAME, name) && !strncmp(name, "receiver-", 9) &&
      __sync_bool_compare_and_swap(&control->mode, '3', '0')) {
    errno = EINVAL;
    return -1;
  }
  int result = NEXT(clock_gettime)(clock, time);
  if (control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    time->tv_sec += control->seconds_of_all;
    if (control->seconds && !prctl(PR_GET_NAME, name) && !strcmp(name, "archive")) time->tv_sec += control->seconds;
  }
  return result;
}
int gettimeofday(struct timeval *time, void *zone) {
  int result = NEXT(gettimeofday)(time, zone);
  if (control) time->tv_sec += control->seconds_of_all;
  return result;
}
time_t time(time_t *into) {
  time_t seconds = NEXT(time)(0) + (control ? control->seconds_of_all : 0);
  if (into) *into = seconds;
  return seconds;
}
int recvmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
  int received = NEXT(recvmmsg)(socket, messages, count, flags, timeout);
  for (int message = 0; control && message < received; message++) {
    struct msghdr *header = &messages[message].msg_hdr;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
      struct timespec time;
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
      memcpy(&time, CMSG_DATA(part), sizeof time);
      time.tv_sec += control->seconds_of_all;
      memcpy(CMSG_DATA(part), &time, sizeof time);
    }
  }
  return received;
}
