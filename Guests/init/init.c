// The first program in a guest that Apus has made itself: mounts what every program expects, runs
// what the monitor ordered (order.h), reports how it ended, and powers the machine off.
//
// Commands talk to the monitor through a device of a few I/O ports (channel.h) and not through
// serial lines: no terminal layer stands between, so streams are binary-safe, separate and fast,
// and any kernel that lets root use I/O ports will do. A shell uses the console.
// Without the device (under another monitor) everything goes to the console.

#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/mount.h>
#include <linux/reboot.h>
#include <linux/socket.h>

#include "channel.h"
#include "order.h"
#include "relay.h"
#include "root.h"

struct window {
  uint16_t rows, columns, width, height;
};

/// Programs on this machine's own network expect 127.0.0.1 to answer.
static void bring_up_loopback(void) {
  long socket = CALL(socket, AF_INET, 2, 0);
  if (socket < 0) return;
  struct ifreq request = {.ifr_name = "lo"};
  request.ifr_flags = IFF_UP;
  CALL(ioctl, socket, 0x8914 /* SIOCSIFFLAGS */, &request);
  CALL(close, socket);
}

static void prepare_system(void) {
  CALL(mount, "devtmpfs", "/dev", "devtmpfs", 0, "mode=0755");
  CALL(mount, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
  CALL(mount, "sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
  CALL(mkdir, "/dev/pts", 0755);
  CALL(mount, "devpts", "/dev/pts", "devpts", 0, "mode=0620,ptmxmode=0666");
  CALL(symlink, "/proc/self/fd", "/dev/fd");
  CALL(symlink, "/proc/self/fd/0", "/dev/stdin");
  CALL(symlink, "/proc/self/fd/1", "/dev/stdout");
  CALL(symlink, "/proc/self/fd/2", "/dev/stderr");
  CALL(sethostname, "apus", 4);
  bring_up_loopback();
}

/// Opens the terminal behind /dev/console, which alone can be a controlling terminal.
static long open_terminal(void) {
  static char path[64];
  char names[48] = {0};
  long file = CALL(open, "/sys/class/tty/console/active", O_RDONLY);
  if (file >= 0) CALL(read, file, names, sizeof names - 1);
  CALL(close, file);
  // The last name is the one that input comes from.
  const char *last = names;
  for (char *at = names; *at; at++) {
    if (*at == '\n') *at = 0;
    if (*at == ' ') last = at + 1;
  }
  append(path, sizeof path, "/dev/");
  append(path, sizeof path, *last ? last : "console");
  return CALL(open, path, O_RDWR);
}

/// The child's part of the shell: a session with a controlling terminal, for job control.
static void become_shell(const struct order *order) {
  channel_close();
  CALL(setsid, 0);
  long terminal = open_terminal();
  if (terminal >= 0) {
    struct window window = {order->rows, order->columns, 0, 0};
    CALL(ioctl, terminal, TIOCSCTTY, 1);
    if (order->rows && order->columns) CALL(ioctl, terminal, TIOCSWINSZ, &window);
    for (int standard = 0; standard < 3; standard++) CALL(dup2, terminal, standard);
    if (terminal > 2) CALL(close, terminal);
  }
  print(1, "This is a shell inside the guest. 'exit' powers the guest off.\n");
  CALL(exit, order_run(order));
}

/// Starts a child on the console and waits for it, and for every orphan on the way.
static int run_on_console(const struct order *order) {
  long child = CALL(fork, 0);
  if (child == 0 && order->is_shell) become_shell(order);
  if (child == 0) CALL(exit, order_run(order));
  int report = 0;
  for (;;) {
    long ended = CALL(wait4, -1, &report, 0);
    if (ended == child || ended < 0) return exit_status(report);
  }
}

static _Noreturn void power_off(void) {
  CALL(sync, 0);
  CALL(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF);
  CALL(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART);
  for (;;) CALL(pause, 0);
}

/// Tells those who watch the console, when there is no channel to tell it through.
static void print_status(int status) {
  static char message[64];
  append(message, sizeof message, "apus: exit status ");
  append_number(message, sizeof message, status);
  append(message, sizeof message, "\n");
  print(1, message);
}

_Noreturn void start(void) {
  static struct order order;
  bool has_channel = channel_open();
  if (has_channel) channel_send(CHANNEL_STARTED, 0);
  prepare_system();
  root_load_modules();
  int status = 126;
  // The order first: the image's files may soon be out of sight.
  if (!order_read(&order)) print(2, "apus: the guest has no order to carry out\n");
  else if (!root_mount_shares()) status = 125;
  else if (order.is_shell || !has_channel) status = run_on_console(&order);
  else status = relay_run(&order);
  CALL(sync, 0);
  if (has_channel) channel_send(CHANNEL_EXITED, (uint32_t)status);
  else if (!order.is_shell) print_status(status);
  power_off();
}
