// Calls that take a descriptor.
#include "Next.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  uintptr_t argument = va_arg(list, uintptr_t);
  va_end(list);
  // Requests are 32 bits wide; some programs extend the sign.
  if (_IOC_TYPE((uint32_t)request) == KVMIO) {
    int error = errno;
    long result = apus_shim_ioctl(fd, (uint32_t)request, argument);
    errno = error;
    if (result != APUS_NOT_OURS) return (int)apus_result(result);
  }
  return apus_next()->ioctl(fd, request, argument);
}

/// Whether a descriptor is one of ours, and the caller's to give up: a child of vfork(2) shares our
/// memory, but not our descriptors.
static int is_ours(int fd) { return apus_file_get(fd) != NULL && getpid() == apus_shim_process; }

EXPORT int close(int fd) {
  if (is_ours(fd)) apus_shim_forget(fd);
  return apus_next()->close(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags) {
  int closes = first <= last && !(flags & CLOSE_RANGE_CLOEXEC);
  if (closes && apus_shim_is_active && getpid() == apus_shim_process)
    apus_shim_forget_range(first, last);
  if (apus_next()->close_range == NULL) return (int)apus_result(-ENOSYS);
  return apus_next()->close_range(first, last, flags);
}

EXPORT void closefrom(int first) {
  if (close_range((unsigned int)(first < 0 ? 0 : first), ~0U, 0) == 0) return;
  long last = sysconf(_SC_OPEN_MAX);
  for (long fd = first; fd < last; fd++) close((int)fd);
}

/// Tells KVMShim, if either number was one of ours, and returns the copy.
static int duplicated(int fd, int copy) {
  int concerns_us = copy >= 0 && copy != fd && (is_ours(fd) || is_ours(copy));
  if (concerns_us) apus_shim_duplicated(fd, copy);
  return copy;
}

EXPORT int dup(int fd) { return duplicated(fd, apus_next()->dup(fd)); }
EXPORT int dup2(int fd, int copy) { return duplicated(fd, apus_next()->dup2(fd, copy)); }
EXPORT int dup3(int fd, int copy, int flags) {
  return duplicated(fd, apus_next()->dup3(fd, copy, flags));
}

EXPORT int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  uintptr_t argument = va_arg(list, uintptr_t);
  va_end(list);
  int result = apus_next()->fcntl(fd, command, argument);
  int duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  return duplicates ? duplicated(fd, result) : result;
}
EXPORT int fcntl64(int, int, ...) __attribute__((alias("fcntl")));

// Whether a mapping of a processor's begins or ends in its ring of dirty pages.
static int touches_ring(int fd, size_t size, off_t offset) {
  struct stat status;
  off_t ring = 64 * 4096, last = offset + (off_t)size - 1;
  if (fstat(fd, &status) != 0) return 0;
  return (offset >= ring && offset < status.st_size) || (last >= ring && last < status.st_size);
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  // Only processors can be mapped.
  if (!(flags & MAP_ANONYMOUS) && apus_file_get(fd) != NULL) {
    int kind = apus_shim_kind(fd);
    if (kind == APUS_DEVICE || kind == APUS_MACHINE) {
      errno = ENODEV;
      return MAP_FAILED;
    }
    int is_plain = (flags & MAP_SHARED) && !(protection & PROT_EXEC);
    if (kind == APUS_PROCESSOR && !is_plain && touches_ring(fd, size, offset)) {
      errno = EINVAL;
      return MAP_FAILED;
    }
  }
  return apus_next()->mmap(address, size, protection, flags, fd, offset);
}
EXPORT void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

EXPORT ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
  if (apus_shim_is_active && message != NULL && message->msg_control != NULL) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR((struct msghdr *)message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      if (part->cmsg_len < CMSG_LEN(0)) break;
      size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        if (apus_file_get(fd) != NULL) apus_shim_sent(fd);
      }
    }
  }
  return apus_next()->sendmsg(socket, message, flags);
}
