// syscall(2), by which some programs make the calls that the other files are about.
#include "Next.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORT long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  switch (number) {
    case SYS_ioctl: return ioctl((int)a, (unsigned long)b, c);
    case SYS_open: return open((const char *)a, (int)b, (mode_t)c);
    case SYS_openat: return openat((int)a, (const char *)b, (int)c, (mode_t)d);
    case SYS_creat: return creat((const char *)a, (mode_t)b);
    case SYS_close: return close((int)a);
    case SYS_close_range: return close_range((unsigned int)a, (unsigned int)b, (int)c);
    case SYS_dup: return dup((int)a);
    case SYS_dup2: return dup2((int)a, (int)b);
    case SYS_dup3: return dup3((int)a, (int)b, (int)c);
    case SYS_fcntl: return fcntl((int)a, (int)b, c);
    case SYS_mmap: return (long)mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f);
    case SYS_sendmsg: return sendmsg((int)a, (const struct msghdr *)b, (int)c);
    case SYS_access: return access((const char *)a, (int)b);
    case SYS_faccessat: return faccessat((int)a, (const char *)b, (int)c, 0);
    case SYS_stat: return stat((const char *)a, (struct stat *)b);
    case SYS_lstat: return lstat((const char *)a, (struct stat *)b);
    case SYS_fstat: return fstat((int)a, (struct stat *)b);
    case SYS_newfstatat: return fstatat((int)a, (const char *)b, (struct stat *)c, (int)d);
    case SYS_statx:
      return statx((int)a, (const char *)b, (int)c, (unsigned int)d, (struct statx *)e);
    case SYS_readlink: return readlink((const char *)a, (char *)b, (size_t)c);
    case SYS_readlinkat: return readlinkat((int)a, (const char *)b, (char *)c, (size_t)d);
    default: return apus_result(apus_bare_call(number, a, b, c, d, e, f));
  }
}
