#define _GNU_SOURCE
#include "Events.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

int apus_poll(struct pollfd *descriptors, unsigned int count, int timeout_ms) {
  int ready = poll(descriptors, count, timeout_ms);
  if (ready >= 0) return ready;
  return errno == EINTR ? 0 : -errno;
}

int apus_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int apus_timerfd(void) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int apus_timerfd_arm(int fd, uint64_t nanoseconds) {
  struct itimerspec spec = {0};
  spec.it_value.tv_sec = (time_t)(nanoseconds / 1000000000);
  spec.it_value.tv_nsec = (long)(nanoseconds % 1000000000);
  return timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

int apus_signalfd(const int *signals, size_t count) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < count; i++) {
    if (sigaddset(&set, signals[i]) < 0) return -errno;
  }
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error != 0) return -error;
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int apus_signalfd_take(int fd) {
  struct signalfd_siginfo info;
  ssize_t count = read(fd, &info, sizeof info);
  if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
  return count < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

int apus_epoll(void) {
  int set = epoll_create1(EPOLL_CLOEXEC);
  return set < 0 ? -errno : set;
}

int apus_epoll_add(int set, int fd, uint64_t tag) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
  return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int apus_epoll_remove(int set, int fd) {
  struct epoll_event event = {0};
  return epoll_ctl(set, EPOLL_CTL_DEL, fd, &event) < 0 ? -errno : 0;
}

int apus_epoll_wait(int set, uint64_t *tags, unsigned int count) {
  struct epoll_event events[16];
  int room = count < 16 ? (int)count : 16;
  int ready = epoll_wait(set, events, room, -1);
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < ready; i++) tags[i] = events[i].data.u64;
  return ready;
}

int apus_is_eventfd(int fd) {
  char path[64], target[64];
  if (fcntl(fd, F_GETFD) < 0) return -EBADF;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, sizeof target - 1);
  // Without /proc there is no telling; what is wrong then shows at the first use.
  if (length < 0) return 1;
  target[length] = 0;
  return strcmp(target, "anon_inode:[eventfd]") == 0;
}

int apus_eventfd_take(int fd) {
  uint64_t count;
  struct iovec vector = {&count, sizeof count};
  // The flag for this one read: the descriptor's own is its owner's.
  return preadv2(fd, &vector, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof count;
}

int apus_same_file(int one, int other) {
  pid_t self = getpid();
  long order = syscall(SYS_kcmp, self, self, KCMP_FILE, one, other);
  // Kernels built without it leave the numbers to compare.
  return order < 0 ? one == other : order == 0;
}

long apus_read(int fd, void *buffer, size_t count) {
  ssize_t result;
  do result = read(fd, buffer, count);
  while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

long apus_write(int fd, const void *buffer, size_t count) {
  ssize_t result;
  do result = write(fd, buffer, count);
  while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

int apus_open(const char *path, int flags, unsigned int mode) {
  int fd = open(path, flags | O_CLOEXEC, mode);
  return fd < 0 ? -errno : fd;
}

int apus_duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

int apus_thread_name(const char *name) {
  return -pthread_setname_np(pthread_self(), name);
}
