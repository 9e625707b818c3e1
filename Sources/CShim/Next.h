// The functions that ours hide.
#ifndef APUS_NEXT_H
#define APUS_NEXT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "CShim.h"

#define EXPORT __attribute__((visibility("default")))

struct next_functions {
  int (*open)(const char *, int, ...);
  int (*openat)(int, const char *, int, ...);
  FILE *(*fopen)(const char *, const char *);
  int (*ioctl)(int, unsigned long, ...);
  int (*fcntl)(int, int, ...);
  int (*close)(int);
  int (*close_range)(unsigned int, unsigned int, int);
  int (*dup)(int);
  int (*dup2)(int, int);
  int (*dup3)(int, int, int);
  void *(*mmap)(void *, size_t, int, int, int, off_t);
  ssize_t (*sendmsg)(int, const struct msghdr *, int);
  int (*faccessat)(int, const char *, int, int);
  int (*fstatat)(int, const char *, struct stat *, int);
  int (*statx)(int, const char *, int, unsigned int, struct statx *);
  ssize_t (*readlinkat)(int, const char *, char *, size_t);
  char *(*realpath)(const char *, char *);
  int (*sigaction)(int, const struct sigaction *, struct sigaction *);
  int (*signal_mask)(int, const sigset_t *, sigset_t *);
  int (*cancel)(pthread_t);
};

/// The next definitions of these names; bare system calls while they are being looked up.
const struct next_functions *apus_next(void);

/// A system call without errno: -errno on failure.
long apus_bare_call(long number, long a, long b, long c, long d, long e, long f);

/// Whether the path names /dev/kvm.
int apus_is_device(int directory, const char *path);

/// Sets errno for a result that is -errno.
long apus_result(long result);

/// In a signal handler: if a call of KVM's is in progress, ends it and has the signal come again when
/// it is over. Returns whether that is so; errno may change.
int apus_put_back(int number, siginfo_t *info, void *context);

/// Whether KVM's device has been opened, so that signals are watched.
extern int apus_shim_is_active;
/// The process that the descriptors belong to.
extern int apus_shim_process;

#endif
