// Descriptors that an event loop waits on, and the terminal's modes. Like everything in this
// module, each function returns -errno on failure.
#ifndef APUS_CLINUX_EVENTS_H
#define APUS_CLINUX_EVENTS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/// poll(2); an interrupted wait reports 0 ready descriptors.
int apus_poll(struct pollfd *descriptors, unsigned int count, int timeout_ms);

/// A non-blocking eventfd(2) that starts clear.
int apus_eventfd(void);

/// A non-blocking timerfd(2) on the monotonic clock, disarmed.
int apus_timerfd(void);

/// Lets a timer expire once, when the monotonic clock reads `nanoseconds`; 0 disarms it.
int apus_timerfd_arm(int fd, uint64_t nanoseconds);

/// Blocks the signals for this thread and its future ones; they are read from the descriptor.
int apus_signalfd(const int *signals, size_t count);

/// Takes one signal; its number, or 0 when none is waiting.
int apus_signalfd_take(int fd);

/// An epoll(7) instance; descriptors that are added are told by their tags when they can be read.
int apus_epoll(void);
int apus_epoll_add(int set, int fd, uint64_t tag);
int apus_epoll_remove(int set, int fd);

/// Waits for descriptors to read; stores at most `count` tags and returns how many. An interrupted
/// wait reports none.
int apus_epoll_wait(int set, uint64_t *tags, unsigned int count);

/// Whether the descriptor is an eventfd; -EBADF for none.
int apus_is_eventfd(int fd);

/// Takes an eventfd's count without ever waiting; whether there was one.
int apus_eventfd_take(int fd);

/// Whether two descriptors of this process are the same open file.
int apus_same_file(int one, int other);

/// read(2) and write(2), restarted when interrupted.
long apus_read(int fd, void *buffer, size_t count);
long apus_write(int fd, const void *buffer, size_t count);

/// open(2), close-on-exec.
int apus_open(const char *path, int flags, unsigned int mode);

/// A close-on-exec duplicate.
int apus_duplicate(int fd);

/// Has the terminal put back when the process exits or dies of a fault of its own. To be called
/// before anybody handles such faults by design, since the handler that comes last is asked first.
void apus_terminal_prepare(void);

/// Puts a terminal into raw mode. One terminal at a time.
int apus_terminal_raw(int fd);

/// Puts the terminal back now. Safe in signal handlers and when nothing is to be put back.
void apus_terminal_restore(void);

/// The terminal's size; 0 rows and columns when it has none.
int apus_terminal_size(int fd, unsigned short *rows, unsigned short *columns);

/// Names this thread, in at most 15 bytes.
int apus_thread_name(const char *name);

#endif
