#include "order.h"

#include <asm/errno.h>
#include <asm/fcntl.h>

enum { TEXT_SIZE = 1 << 21, POINTER_COUNT = 1 << 16, GROUP_COUNT = 64 };

/// How many strings come before the environment.
enum { HEAD_COUNT = 7 };

// Untouched pages of these cost nothing.
static char text[TEXT_SIZE];
static char *pointers[POINTER_COUNT];

static size_t load(void) {
  long file = CALL(open, "/etc/apus/order", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  size_t count = 0;
  for (;;) {
    long got = CALL(read, file, text + count, TEXT_SIZE - 1 - count);
    if (got <= 0) break;
    count += (size_t)got;
  }
  CALL(close, file);
  return count;
}

/// The number at `*digits`, which then is behind it and one comma.
static uint32_t next_number(const char **digits) {
  uint32_t value = 0;
  while (**digits >= '0' && **digits <= '9') value = value * 10 + (uint32_t)(*(*digits)++ - '0');
  if (**digits == ',') (*digits)++;
  return value;
}

static uint32_t number(const char *digits) { return next_number(&digits); }

bool order_read(struct order *order) {
  size_t size = load(), count = 0, end = 0;
  for (char *next = text; next < text + size; next += length(next) + 1) {
    if (count >= POINTER_COUNT - 2) return false;
    if (count >= HEAD_COUNT && !*next && !end) {
      // The end of the environment, and a word for execute() before the arguments.
      end = count;
      count += 2;
    } else {
      pointers[count++] = next;
    }
  }
  if (!end || count == end + 2) return false;
  order->is_shell = equal(pointers[0], "shell");
  order->rows = (uint16_t)number(pointers[1]);
  order->columns = (uint16_t)number(pointers[2]);
  order->directory = pointers[3];
  order->user = pointers[4];
  order->group = pointers[5];
  order->groups = pointers[6];
  order->environment = pointers + HEAD_COUNT;
  order->arguments = pointers + end + 2;
  return true;
}

static const char *search_path(const struct order *order) {
  for (char **entry = order->environment; *entry; entry++) {
    char *name = *entry;
    if (name[0] == 'P' && name[1] == 'A' && name[2] == 'T' && name[3] == 'H' && name[4] == '=')
      return name + 5;
  }
  return "/usr/sbin:/usr/bin:/sbin:/bin";
}

/// Tries one file; what is executable but no program is a script for the shell.
static long execute(const char *path, const struct order *order) {
  long error = CALL(execve, path, order->arguments, order->environment);
  if (error != -ENOEXEC) return error;
  char **arguments = order->arguments - 1;
  char *name = order->arguments[0];
  arguments[0] = (char *)"/bin/sh";
  arguments[1] = (char *)path;
  CALL(execve, "/bin/sh", arguments, order->environment);
  order->arguments[0] = name;
  return error;
}

static long execute_from_path(const struct order *order) {
  static char path[4096];
  const char *name = order->arguments[0];
  long result = -ENOENT;
  for (const char *next = search_path(order);; next++) {
    size_t count = 0;
    while (*next && *next != ':' && count < 2048) path[count++] = *next++;
    path[count] = 0;
    append(path, sizeof path, count ? "/" : "./");
    append(path, sizeof path, name);
    long error = execute(path, order);
    if (error != -ENOENT && error != -ENOTDIR) result = error;
    if (*next != ':') return result;
  }
}

static const char *reason(long error) {
  switch (error) {
    case -ENOENT: return "there is no such program in the guest";
    case -EACCES: return "it may not be executed";
    case -ENOEXEC: return "it is not a program for this machine";
    case -ENOMEM: return "the guest has too little memory";
    default: return "the guest's kernel refuses to run it";
  }
}

/// Becomes the user whom the order names: the last thing that root is needed for.
static bool become_user(const struct order *order) {
  static uint32_t groups[GROUP_COUNT];
  size_t count = 0;
  for (const char *next = order->groups; *next && count < GROUP_COUNT;)
    groups[count++] = next_number(&next);
  return CALL(setgroups, count, groups) == 0 && CALL(setgid, number(order->group)) == 0 &&
         CALL(setuid, number(order->user)) == 0;
}

int order_run(const struct order *order) {
  static char message[512];
  const char *name = order->arguments[0];
  if (!become_user(order)) {
    print(2, "apus: the guest's kernel refuses the user's number\n");
    return 126;
  }
  if (*order->directory) CALL(chdir, order->directory);
  bool has_slash = false;
  for (const char *at = name; *at; at++) has_slash |= *at == '/';
  long error = -ENOENT;
  if (*name) error = has_slash ? execute(name, order) : execute_from_path(order);
  append(message, sizeof message, "apus: cannot run ");
  append(message, sizeof message, name);
  append(message, sizeof message, ": ");
  append(message, sizeof message, reason(error));
  append(message, sizeof message, "\n");
  print(2, message);
  return error == -ENOENT || error == -ENOTDIR ? 127 : 126;
}
