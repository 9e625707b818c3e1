#include "Next.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long apus_bare_call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

long apus_result(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

#define CALL(number, a, b, c, d, e, f) \
  apus_result(apus_bare_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

// A memory allocator that calls mmap may be what dlsym itself calls. Only calls that allocators
// make are needed meanwhile.
static int bare_open(const char *path, int flags, ...) {
  return (int)CALL(SYS_open, path, flags, 0, 0, 0, 0);
}
static int bare_openat(int directory, const char *path, int flags, ...) {
  return (int)CALL(SYS_openat, directory, path, flags, 0, 0, 0);
}
static int bare_close(int fd) { return (int)CALL(SYS_close, fd, 0, 0, 0, 0, 0); }
static void *bare_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  return (void *)CALL(SYS_mmap, address, size, protection, flags, fd, offset);
}
static int bare_ioctl(int fd, unsigned long request, ...) {
  (void)fd, (void)request;
  errno = ENOTTY;
  return -1;
}
static int bare_fcntl(int fd, int command, ...) {
  return (int)CALL(SYS_fcntl, fd, command, 0, 0, 0, 0);
}
static int bare_fstatat(int directory, const char *path, struct stat *status, int flags) {
  return (int)CALL(SYS_newfstatat, directory, path, status, flags, 0, 0);
}
static int bare_faccessat(int directory, const char *path, int mode, int flags) {
  (void)flags;
  return (int)CALL(SYS_faccessat, directory, path, mode, 0, 0, 0);
}
static ssize_t bare_readlinkat(int directory, const char *path, char *text, size_t size) {
  return CALL(SYS_readlinkat, directory, path, text, size, 0, 0);
}
static int bare_signal_mask(int how, const sigset_t *set, sigset_t *old) {
  return (int)-apus_bare_call(SYS_rt_sigprocmask, how, (long)set, (long)old, 8, 0, 0);
}

static const struct next_functions bare = {
    .open = bare_open,
    .openat = bare_openat,
    .close = bare_close,
    .mmap = bare_mmap,
    .ioctl = bare_ioctl,
    .fcntl = bare_fcntl,
    .fstatat = bare_fstatat,
    .faccessat = bare_faccessat,
    .readlinkat = bare_readlinkat,
    .signal_mask = bare_signal_mask,
};

static struct next_functions found;
static int is_found;
static __thread int is_looking __attribute__((tls_model("initial-exec")));

static void look_up(void) {
  int error = errno;
  is_looking = 1;
#define FIND(field, name) found.field = (__typeof__(found.field))dlsym(RTLD_NEXT, name)
  FIND(open, "open");
  FIND(openat, "openat");
  FIND(fopen, "fopen");
  FIND(ioctl, "ioctl");
  FIND(fcntl, "fcntl");
  FIND(close, "close");
  FIND(close_range, "close_range");
  FIND(dup, "dup");
  FIND(dup2, "dup2");
  FIND(dup3, "dup3");
  FIND(mmap, "mmap");
  FIND(sendmsg, "sendmsg");
  FIND(faccessat, "faccessat");
  FIND(fstatat, "fstatat");
  FIND(statx, "statx");
  FIND(readlinkat, "readlinkat");
  FIND(realpath, "realpath");
  FIND(sigaction, "sigaction");
  FIND(signal_mask, "pthread_sigmask");
  FIND(cancel, "pthread_cancel");
  // Before version 2.33 of the C library, fstatat had another name.
  if (found.fstatat == NULL) found.fstatat = bare_fstatat;
  is_looking = 0;
  __atomic_store_n(&is_found, 1, __ATOMIC_RELEASE);
  errno = error;
}

__attribute__((constructor)) static void look_up_early(void) {
  if (!is_found) look_up();
}

const struct next_functions *apus_next(void) {
  if (__atomic_load_n(&is_found, __ATOMIC_ACQUIRE)) return &found;
  if (is_looking) return &bare;
  look_up();
  return &found;
}

/// Whether the directory part of the path is /dev; rarely asked.
static int is_in_dev(int directory, const char *path, size_t length) {
  char start[PATH_MAX], resolved[PATH_MAX];
  if (length >= sizeof start - 32) return 0;
  if (path[0] == '/') {
    memcpy(start, path, length);
    start[length] = 0;
  } else if (directory == AT_FDCWD) {
    snprintf(start, sizeof start, "./%.*s", (int)length, path);
  } else {
    snprintf(start, sizeof start, "/proc/self/fd/%d/%.*s", directory, (int)length, path);
  }
  if (apus_next()->realpath == NULL || apus_next()->realpath(start, resolved) == NULL) return 0;
  return strcmp(resolved, "/dev") == 0;
}

int apus_is_device(int directory, const char *path) {
  if (path == NULL) return 0;
  size_t length = strnlen(path, PATH_MAX);
  if (length < 3 || memcmp(path + length - 3, "kvm", 3) != 0) return 0;
  if (strcmp(path, "/dev/kvm") == 0) return 1;
  if (length > 3 && path[length - 4] != '/') return 0;
  int error = errno;
  int is_device = is_in_dev(directory, path, length - 3);
  errno = error;
  return is_device;
}
