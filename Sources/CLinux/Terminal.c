// In C because the restoring half runs in signal handlers, where Swift's runtime may not be used.
#define _GNU_SOURCE
#include "Events.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved_modes;
static volatile sig_atomic_t raw_terminal = -1;

// Faults of this process. Whoever handles some of them by design installs its handler later and
// passes on what is not its own.
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
enum { fatal_count = sizeof fatal_signals / sizeof fatal_signals[0] };
static struct sigaction previous_actions[fatal_count];

void apus_terminal_restore(void) {
  int fd = raw_terminal;
  if (fd < 0) return;
  raw_terminal = -1;
  int error = errno;
  // Without draining: a terminal that nobody reads must not hold up the end.
  tcsetattr(fd, TCSANOW, &saved_modes);
  errno = error;
}

static void restore_and_die(int signal_number) {
  apus_terminal_restore();
  for (int i = 0; i < fatal_count; i++) {
    if (fatal_signals[i] == signal_number) sigaction(signal_number, &previous_actions[i], NULL);
  }
  // Blocked until this handler returns; then it meets the previous action.
  raise(signal_number);
}

void apus_terminal_prepare(void) {
  static int is_prepared;
  if (is_prepared) return;
  is_prepared = 1;
  atexit(apus_terminal_restore);
  struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_ONSTACK};
  for (int i = 0; i < fatal_count; i++) {
    sigaction(fatal_signals[i], &action, &previous_actions[i]);
  }
}

int apus_terminal_raw(int fd) {
  struct termios modes;
  if (raw_terminal >= 0) return -EBUSY;
  if (tcgetattr(fd, &saved_modes) < 0) return -errno;
  modes = saved_modes;
  cfmakeraw(&modes);
  raw_terminal = fd;
  if (tcsetattr(fd, TCSANOW, &modes) < 0) {
    int error = errno;
    raw_terminal = -1;
    return -error;
  }
  return 0;
}

int apus_terminal_size(int fd, unsigned short *rows, unsigned short *columns) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -errno;
  *rows = size.ws_row;
  *columns = size.ws_col;
  return 0;
}
