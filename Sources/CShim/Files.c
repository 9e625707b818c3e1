// What Swift cannot do about files and memory.
#include "Next.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "CLinux.h"

void *apus_shim_files[APUS_FILES];

static const char name_prefix[] = "apus:";

int apus_shim_make_file(const char *name, size_t size, int is_close_on_exec) {
  char full[64];
  snprintf(full, sizeof full, "%s%s", name_prefix, name);
  int fd = memfd_create(full, MFD_ALLOW_SEALING | (is_close_on_exec ? MFD_CLOEXEC : 0));
  if (fd < 0) return -errno;
  if (ftruncate(fd, (off_t)size) == 0 &&
      apus_next()->fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    return fd;
  int error = errno;
  apus_next()->close(fd);
  return -error;
}

int apus_shim_identity(int fd, uint64_t identity[2]) {
  struct stat status;
  if (apus_next()->fstatat(fd, "", &status, AT_EMPTY_PATH) < 0) return 0;
  identity[0] = status.st_dev;
  identity[1] = status.st_ino;
  return 1;
}

int apus_shim_is_named(int fd, const char *name) {
  char link[64], text[128], wanted[128];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = apus_next()->readlinkat(AT_FDCWD, link, text, sizeof text - 1);
  if (length < 0) return 0;
  text[length] = 0;
  snprintf(wanted, sizeof wanted, "/memfd:%s%s", name_prefix, name);
  return strncmp(text, wanted, strlen(wanted)) == 0;
}

extern const char apus_copy_start[], apus_copy_end[], apus_copy_failed[];

__attribute__((noinline)) int apus_shim_copy(void *to, const void *from, size_t count) {
  int failed;
  // A fault goes on at the second label, with RCX and R11 changed.
  __asm__ volatile(
      ".globl apus_copy_start, apus_copy_end, apus_copy_failed\n"
      ".hidden apus_copy_start, apus_copy_end, apus_copy_failed\n"
      "apus_copy_start: rep movsb\n"
      "apus_copy_end: xorl %0, %0\n"
      "jmp 1f\n"
      "apus_copy_failed: movl $1, %0\n"
      "1:"
      : "=&a"(failed), "+D"(to), "+S"(from), "+c"(count)
      :
      : "r11", "memory", "cc");
  return failed ? -EFAULT : 0;
}

int apus_shim_guard_copies(void) {
  return apus_guard_code(
      (uintptr_t)apus_copy_start, (uintptr_t)apus_copy_end, (uintptr_t)apus_copy_failed);
}
