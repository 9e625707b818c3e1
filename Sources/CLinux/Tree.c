#define _GNU_SOURCE
#include "Tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/// What a system call returned, or the negative of why it failed.
#define RESULT(call)                   \
  do {                                 \
    long long result = (call);         \
    return result < 0 ? -errno : result; \
  } while (0)

enum { PATH_SIZE = 40 };

const int apus_path_only = O_PATH;

/// The name under which this process finds what a descriptor is open on.
static const char *own_path(char *path, int fd) {
  snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
  return path;
}

int apus_step(int directory, const char *name) {
  RESULT(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

int apus_reopen(int fd, int flags) {
  char path[PATH_SIZE];
  RESULT(open(own_path(path, fd), flags | O_CLOEXEC | O_NOCTTY));
}

int apus_create_at(int directory, const char *name, int flags, unsigned int mode) {
  RESULT(openat(directory, name, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode));
}

int apus_status(int fd, struct stat *status) {
  RESULT(fstatat(fd, "", status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

int apus_read_link(int fd, char *buffer, size_t count) { RESULT(readlinkat(fd, "", buffer, count)); }

int apus_make_directory(int directory, const char *name, unsigned int mode) {
  RESULT(mkdirat(directory, name, mode));
}

int apus_make_node(int directory, const char *name, unsigned int mode, uint64_t device) {
  RESULT(mknodat(directory, name, mode, device));
}

int apus_make_link(int directory, const char *name, const char *target) {
  RESULT(symlinkat(target, directory, name));
}

int apus_link(int fd, int directory, const char *name) {
  char path[PATH_SIZE];
  RESULT(linkat(AT_FDCWD, own_path(path, fd), directory, name, AT_SYMLINK_FOLLOW));
}

int apus_remove(int directory, const char *name, int is_directory) {
  RESULT(unlinkat(directory, name, is_directory ? AT_REMOVEDIR : 0));
}

int apus_rename(int from, const char *name, int to, const char *new_name, unsigned int flags) {
  RESULT(renameat2(from, name, to, new_name, flags));
}

int apus_change_mode(int fd, unsigned int mode) {
  char path[PATH_SIZE];
  RESULT(chmod(own_path(path, fd), mode));
}

int apus_change_owner(int fd, uint32_t user, uint32_t group) {
  RESULT(fchownat(fd, "", user, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

int apus_change_size(int fd, int64_t size) {
  char path[PATH_SIZE];
  RESULT(truncate(own_path(path, fd), size));
}

int apus_change_times(int fd, const struct timespec times[2]) {
  char path[PATH_SIZE];
  int result = utimensat(fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  // Kernels before 5.8 do not take an empty path here.
  if (result < 0 && errno == EINVAL) result = utimensat(AT_FDCWD, own_path(path, fd), times, 0);
  RESULT(result);
}

int apus_file_system(int fd, struct statvfs *status) { RESULT(fstatvfs(fd, status)); }

long apus_file_system_kind(int fd) {
  struct statfs status;
  return fstatfs(fd, &status) < 0 ? -errno : (long)status.f_type;
}

long apus_read_directory(int fd, int64_t offset, void *buffer, size_t count) {
  if (lseek(fd, offset, SEEK_SET) < 0) return -errno;
  RESULT(syscall(SYS_getdents64, fd, buffer, count));
}

int64_t apus_seek(int fd, int64_t offset, int whence) { RESULT(lseek(fd, offset, whence)); }

int apus_allocate(int fd, int mode, int64_t offset, int64_t count) {
  RESULT(fallocate(fd, mode, offset, count));
}

int apus_synchronize(int fd, int only_data) { RESULT(only_data ? fdatasync(fd) : fsync(fd)); }

long apus_get_attribute(int fd, const char *name, void *buffer, size_t count) {
  char path[PATH_SIZE];
  RESULT(getxattr(own_path(path, fd), name, buffer, count));
}

int apus_set_attribute(int fd, const char *name, const void *value, size_t count, int flags) {
  char path[PATH_SIZE];
  RESULT(setxattr(own_path(path, fd), name, value, count, flags));
}

long apus_list_attributes(int fd, char *buffer, size_t count) {
  char path[PATH_SIZE];
  RESULT(listxattr(own_path(path, fd), buffer, count));
}

int apus_remove_attribute(int fd, const char *name) {
  char path[PATH_SIZE];
  RESULT(removexattr(own_path(path, fd), name));
}

unsigned long apus_allow_many_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
  limit.rlim_cur = limit.rlim_max < 1 << 20 ? limit.rlim_max : 1 << 20;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}
