#include "order.h"

#include <asm/errno.h>
#include <asm/fcntl.h>

enum { TEXT_SIZE = 1 << 21, POINTER_COUNT = 1 << 16 };

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

static uint16_t number(const char *digits) {
  uint16_t value = 0;
  while (*digits >= '0' && *digits <= '9') value = (uint16_t)(value * 10 + (*digits++ - '0'));
  return value;
}

bool order_read(struct order *order) {
  size_t size = load(), count = 0, end = 0;
  for (char *next = text; next < text + size; next += length(next) + 1) {
    if (count >= POINTER_COUNT - 2) return false;
    if (count >= 4 && !*next && !end) {
      // The end of the environment, and a word for execute() before the arguments.
      end = count;
      count += 2;
    } else {
      pointers[count++] = next;
    }
  }
  if (!end || count == end + 2) return false;
  order->is_shell = equal(pointers[0], "shell");
  order->rows = number(pointers[1]);
  order->columns = number(pointers[2]);
  order->directory = pointers[3];
  order->environment = pointers + 4;
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

int order_run(const struct order *order) {
  static char message[512];
  const char *name = order->arguments[0];
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
