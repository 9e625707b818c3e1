#define _GNU_SOURCE
#include "CLinux.h"

#include <asm/prctl.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

long apus_ioctl(int fd, unsigned long request, uintptr_t argument) {
  int result = ioctl(fd, request, argument);
  return result < 0 ? -errno : result;
}

int apus_memfd_create(const char *name, unsigned int flags) {
  int fd = memfd_create(name, flags | MFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

long apus_set_gs_base(uintptr_t base) {
  return syscall(SYS_arch_prctl, ARCH_SET_GS, base) < 0 ? -errno : 0;
}

void apus_futex_wait(const void *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void apus_futex_wake(const void *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

int apus_has_capabilities(const char *path) {
  return getxattr(path, "security.capability", NULL, 0) > 0;
}

int apus_can_reach(uintptr_t address, int write) {
  void *page = (void *)(address & ~(uintptr_t)4095);
  // Kernels before 5.14 do not know these, and say EINVAL.
  int advice = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  return madvise(page, 4096, advice) == 0 || errno == EINVAL;
}
