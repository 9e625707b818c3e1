#include "relay.h"

#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/wait.h>

#include "channel.h"

// What the kernel gives for SIG_IGN and SIG_DFL is enough; no handlers run here.
struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

enum { BUFFER_SIZE = 1 << 16, LONGEST_WAIT = 16 };

static char buffer[BUFFER_SIZE];

/// Standard input on its way from the channel into the command's pipe.
static struct {
  char bytes[BUFFER_SIZE];
  size_t first, end;
  int pipe;
  bool is_over;
  /// How long to sleep before looking for more, in milliseconds: there is no interrupt.
  int wait;
} input;

int exit_status(int report) {
  return (report & 0x7f) ? 128 + (report & 0x7f) : report >> 8 & 0xff;
}

static void set_disposition(int signal, bool is_ignored) {
  struct action action = {is_ignored ? SIG_IGN : SIG_DFL, 0, 0, 0};
  CALL(rt_sigaction, signal, &action, 0, sizeof action.mask);
}

static void close_input(void) {
  if (input.pipe >= 0) CALL(close, input.pipe);
  input.pipe = -1;
  input.is_over = true;
}

/// Fetches more input if what was fetched has been passed on.
static void fetch(void) {
  if (input.is_over || input.first < input.end) return;
  uint32_t count = channel_input();
  if (count == CHANNEL_END_OF_INPUT) return close_input();
  if (count == 0) {
    input.wait = input.wait * 2 < LONGEST_WAIT ? input.wait * 2 : LONGEST_WAIT;
    return;
  }
  if (count > BUFFER_SIZE) count = BUFFER_SIZE;
  channel_read(input.bytes, count);
  input.first = 0;
  input.end = count;
  input.wait = 1;
}

static void pass_on(void) {
  long count = CALL(write, input.pipe, input.bytes + input.first, input.end - input.first);
  if (count > 0) input.first += (size_t)count;
}

/// Moves what is in a pipe to the channel; closes the pipe at its end.
static void relay(struct pollfd *pipe, enum channel_command stream) {
  long count = CALL(read, pipe->fd, buffer, BUFFER_SIZE);
  if (count > 0) return channel_write(stream, buffer, (size_t)count);
  if (count == 0) {
    CALL(close, pipe->fd);
    pipe->fd = -1;
  }
}

/// Moves what is left in a pipe after the command has ended; others may hold it open.
static void drain(struct pollfd *pipe, enum channel_command stream) {
  long count;
  while (pipe->fd >= 0 && (count = CALL(read, pipe->fd, buffer, BUFFER_SIZE)) > 0)
    channel_write(stream, buffer, (size_t)count);
}

/// Reaps every child that has ended; true once `command` is among them.
static bool has_ended(long command, int signals, int *report) {
  char ignored[128];
  CALL(read, signals, ignored, sizeof ignored);
  bool found = false;
  int child_report;
  for (;;) {
    long child = CALL(wait4, -1, &child_report, WNOHANG);
    if (child <= 0) return found;
    if (child != command) continue;
    found = true;
    *report = child_report;
  }
}

static int relay_until_end(long command, int signals, int output, int error) {
  struct pollfd polls[4] = {
      {output, POLLIN, 0}, {error, POLLIN, 0}, {signals, POLLIN, 0}, {-1, 0, 0}};
  int report = 0;
  for (;;) {
    fetch();
    bool has_bytes = input.first < input.end;
    polls[3].fd = input.pipe;
    polls[3].events = has_bytes ? POLLOUT : 0;
    CALL(poll, polls, 4, input.is_over || has_bytes ? -1 : input.wait);
    if (polls[0].fd >= 0 && polls[0].revents) relay(&polls[0], CHANNEL_OUTPUT);
    if (polls[1].fd >= 0 && polls[1].revents) relay(&polls[1], CHANNEL_ERROR);
    if (input.pipe >= 0 && polls[3].revents & POLLERR) close_input();
    else if (input.pipe >= 0 && polls[3].revents & POLLOUT) pass_on();
    if (polls[2].revents && has_ended(command, signals, &report)) break;
  }
  drain(&polls[0], CHANNEL_OUTPUT);
  drain(&polls[1], CHANNEL_ERROR);
  return exit_status(report);
}

static void become_command(const struct order *order, int in, int out, int error) {
  unsigned long none = 0;
  channel_close();
  CALL(setsid, 0);
  CALL(dup2, in, 0);
  CALL(dup2, out, 1);
  CALL(dup2, error, 2);
  set_disposition(SIGPIPE, false);
  CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
  CALL(exit, order_run(order));
}

int relay_run(const struct order *order) {
  int in[2], out[2], error[2];
  unsigned long child_ended = 1ul << (SIGCHLD - 1);
  CALL(rt_sigprocmask, SIG_BLOCK, &child_ended, 0, sizeof child_ended);
  set_disposition(SIGPIPE, true);
  long signals =
      CALL(signalfd4, -1, &child_ended, sizeof child_ended, O_NONBLOCK | O_CLOEXEC);
  if (signals < 0 || CALL(pipe2, in, O_CLOEXEC) || CALL(pipe2, out, O_CLOEXEC) ||
      CALL(pipe2, error, O_CLOEXEC))
    return 126;
  long command = CALL(fork, 0);
  if (command < 0) return 126;
  if (command == 0) become_command(order, in[0], out[1], error[1]);
  CALL(close, in[0]);
  CALL(close, out[1]);
  CALL(close, error[1]);
  int ours[3] = {in[1], out[0], error[0]};
  for (int index = 0; index < 3; index++) CALL(fcntl, ours[index], F_SETFL, O_NONBLOCK);
  input.pipe = in[1];
  input.wait = 1;
  return relay_until_end(command, (int)signals, out[0], error[0]);
}
