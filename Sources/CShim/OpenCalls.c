// Calls that take a path.
#include "Next.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { KVM_MAJOR = 10, KVM_MINOR = 232, KVM_MODE = S_IFCHR | 0666 };

#define MODE_AFTER(flags)                        \
  mode_t mode = 0;                               \
  if ((flags) & (O_CREAT | O_TMPFILE)) {         \
    va_list list;                                \
    va_start(list, flags);                       \
    mode = va_arg(list, mode_t);                 \
    va_end(list);                                \
  }

static int open_device(int flags) {
  if (flags & O_PATH) return apus_next()->open("/dev/null", flags & ~(O_CREAT | O_EXCL));
  return (int)apus_result(apus_shim_open(flags));
}

EXPORT int open(const char *path, int flags, ...) {
  MODE_AFTER(flags)
  if (apus_is_device(AT_FDCWD, path)) return open_device(flags);
  return apus_next()->open(path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
  MODE_AFTER(flags)
  if (apus_is_device(directory, path)) return open_device(flags);
  return apus_next()->openat(directory, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags) { return open(path, flags); }
EXPORT int __openat_2(int directory, const char *path, int flags) {
  return openat(directory, path, flags);
}
EXPORT int creat(const char *path, mode_t mode) {
  return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

// With 64-bit offsets, as always here, both names are one function.
EXPORT int open64(const char *, int, ...) __attribute__((alias("open")));
EXPORT int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
EXPORT int __open64_2(const char *, int) __attribute__((alias("__open_2")));
EXPORT int __openat64_2(int, const char *, int) __attribute__((alias("__openat_2")));
EXPORT int creat64(const char *, mode_t) __attribute__((alias("creat")));

EXPORT FILE *fopen(const char *path, const char *mode) {
  if (!apus_is_device(AT_FDCWD, path)) return apus_next()->fopen(path, mode);
  int fd = open_device(O_RDWR | (strchr(mode, 'e') ? O_CLOEXEC : 0));
  return fd < 0 ? NULL : fdopen(fd, mode);
}
EXPORT FILE *fopen64(const char *, const char *) __attribute__((alias("fopen")));

static int access_device(int mode) { return (int)apus_result(mode & X_OK ? -EACCES : 0); }

EXPORT int faccessat(int directory, const char *path, int mode, int flags) {
  if (apus_is_device(directory, path)) return access_device(mode);
  return apus_next()->faccessat(directory, path, mode, flags);
}
EXPORT int access(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, 0); }
EXPORT int euidaccess(const char *path, int mode) {
  return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}
EXPORT int eaccess(const char *, int) __attribute__((alias("euidaccess")));

static int device_status(struct stat *status) {
  // Everything but what makes it KVM is as with its neighbour.
  int result = apus_next()->fstatat(AT_FDCWD, "/dev/null", status, 0);
  status->st_mode = KVM_MODE;
  status->st_rdev = makedev(KVM_MAJOR, KVM_MINOR);
  status->st_ino = KVM_MINOR;
  return result;
}

/// Whether an empty path is given, so that the descriptor is meant, and stands for the device.
static int stands_for_device(int fd, uintptr_t path, int flags) {
  // The header promises that there is a path; a caller may break the promise.
  int is_empty = flags & AT_EMPTY_PATH && path != 0 && *(const char *)path == 0;
  return is_empty && apus_file_get(fd) != NULL && apus_shim_kind(fd) == APUS_DEVICE;
}

EXPORT int fstatat(int directory, const char *path, struct stat *status, int flags) {
  if (apus_is_device(directory, path)) return device_status(status);
  if (stands_for_device(directory, (uintptr_t)path, flags))
    return device_status(status);
  return apus_next()->fstatat(directory, path, status, flags);
}
EXPORT int stat(const char *path, struct stat *status) {
  return fstatat(AT_FDCWD, path, status, 0);
}
EXPORT int lstat(const char *path, struct stat *status) {
  return fstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
EXPORT int fstat(int fd, struct stat *status) { return fstatat(fd, "", status, AT_EMPTY_PATH); }

EXPORT int fstatat64(int, const char *, struct stat64 *, int) __attribute__((alias("fstatat")));
EXPORT int stat64(const char *, struct stat64 *) __attribute__((alias("stat")));
EXPORT int lstat64(const char *, struct stat64 *) __attribute__((alias("lstat")));
EXPORT int fstat64(int, struct stat64 *) __attribute__((alias("fstat")));

// The names that programs built against the C library before 2.33 use.
EXPORT int __xstat(int version, const char *path, struct stat *status) {
  (void)version;
  return stat(path, status);
}
EXPORT int __lxstat(int version, const char *path, struct stat *status) {
  (void)version;
  return lstat(path, status);
}
EXPORT int __fxstat(int version, int fd, struct stat *status) {
  (void)version;
  return fstat(fd, status);
}
EXPORT int __fxstatat(int version, int directory, const char *path, struct stat *status, int flags) {
  (void)version;
  return fstatat(directory, path, status, flags);
}
EXPORT int __xstat64(int, const char *, struct stat64 *) __attribute__((alias("__xstat")));
EXPORT int __lxstat64(int, const char *, struct stat64 *) __attribute__((alias("__lxstat")));
EXPORT int __fxstat64(int, int, struct stat64 *) __attribute__((alias("__fxstat")));
EXPORT int __fxstatat64(int, int, const char *, struct stat64 *, int)
    __attribute__((alias("__fxstatat")));

EXPORT int statx(
    int directory, const char *path, int flags, unsigned int mask, struct statx *status) {
  int is_device = apus_is_device(directory, path) ||
                  stands_for_device(directory, (uintptr_t)path, flags);
  if (!is_device) return apus_next()->statx(directory, path, flags, mask, status);
  int result = apus_next()->statx(AT_FDCWD, "/dev/null", 0, mask, status);
  status->stx_mode = KVM_MODE;
  status->stx_rdev_major = KVM_MAJOR;
  status->stx_rdev_minor = KVM_MINOR;
  status->stx_ino = KVM_MINOR;
  return result;
}

EXPORT ssize_t readlinkat(int directory, const char *path, char *text, size_t size) {
  if (apus_is_device(directory, path)) return apus_result(-EINVAL);
  return apus_next()->readlinkat(directory, path, text, size);
}
EXPORT ssize_t readlink(const char *path, char *text, size_t size) {
  return readlinkat(AT_FDCWD, path, text, size);
}

EXPORT char *realpath(const char *path, char *resolved) {
  if (!apus_is_device(AT_FDCWD, path)) return apus_next()->realpath(path, resolved);
  return resolved ? strcpy(resolved, "/dev/kvm") : strdup("/dev/kvm");
}
EXPORT char *canonicalize_file_name(const char *path) { return realpath(path, NULL); }
EXPORT char *__realpath_chk(const char *path, char *resolved, size_t size) {
  (void)size;
  return realpath(path, resolved);
}
EXPORT ssize_t __readlink_chk(const char *path, char *text, size_t size, size_t room) {
  if (size > room) abort();
  return readlink(path, text, size);
}
EXPORT ssize_t __readlinkat_chk(int fd, const char *path, char *text, size_t size, size_t room) {
  if (size > room) abort();
  return readlinkat(fd, path, text, size);
}
