// What this guest was started for: the file /etc/apus/order, which the monitor puts into the image.
//
// Strings, each with a zero byte behind it: the mode ("shell" or "command"), the rows and the
// columns of the terminal, the directory to start in, the user's and the group's number, the other
// groups' with commas between them, the environment, an empty string, and the program with its
// arguments.
#ifndef ORDER_H
#define ORDER_H

#include "system.h"

struct order {
  bool is_shell;
  uint16_t rows, columns;
  const char *directory;
  const char *user, *group, *groups;
  char **environment;
  char **arguments;
};

/// Reads the order; false if there is none or it makes no sense.
bool order_read(struct order *order);
/// Becomes the program that the order names; returns the exit status that says why it cannot.
int order_run(const struct order *order);

#endif
