#define _GNU_SOURCE
#include "Files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

long apus_pread(int fd, void *buffer, size_t count, int64_t offset) {
  ssize_t result;
  do result = pread(fd, buffer, count, offset);
  while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

long apus_pwrite(int fd, const void *buffer, size_t count, int64_t offset) {
  ssize_t result;
  do result = pwrite(fd, buffer, count, offset);
  while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

int apus_fdatasync(int fd) { return fdatasync(fd) < 0 ? -errno : 0; }

int apus_punch_hole(int fd, int64_t offset, int64_t count) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count) < 0 ? -errno : 0;
}

int64_t apus_block_size(int fd) {
  uint64_t size = 0;
  return ioctl(fd, BLKGETSIZE64, &size) < 0 ? -errno : (int64_t)size;
}

int apus_truncate(int fd, int64_t size) { return ftruncate(fd, size) < 0 ? -errno : 0; }

int64_t apus_next_data(int fd, int64_t offset) {
  off_t result = lseek(fd, offset, SEEK_DATA);
  return result < 0 ? -errno : result;
}

int apus_try_lock(int fd, int exclusive) {
  return flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0 ? -errno : 0;
}

int apus_open_direct(int fd, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int result = open(path, flags | O_DIRECT | O_CLOEXEC);
  return result < 0 ? -errno : result;
}
