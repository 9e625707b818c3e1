// The path between this guest and its monitor beside the console: a device of 12 I/O ports.
//
// Control (32 bits at +0) reads as a magic number. Writing it gives a command in the low byte and a
// number in the upper three. The commands for output are followed by that many bytes, written to
// the data port (+4) one, two or four at a time. Reading the data port gives bytes of standard
// input, of which the input port (+8) says how many there are: all ones when no more will come.
// Sources/PCDevices/GuestChannel.swift is the other end.
#ifndef CHANNEL_H
#define CHANNEL_H

#include "system.h"

enum channel_command {
  CHANNEL_OUTPUT = 1,
  CHANNEL_ERROR = 2,
  CHANNEL_STARTED = 3,
  CHANNEL_EXITED = 4,
};

#define CHANNEL_END_OF_INPUT 0xffffffffu

/// Asks the kernel for the ports; false if it refuses or the monitor has no such device.
bool channel_open(void);
/// Gives the ports up, so that programs started by this one cannot use them.
void channel_close(void);
void channel_send(enum channel_command command, uint32_t number);
void channel_write(enum channel_command stream, const char *bytes, size_t count);
/// How many bytes of input are there to read.
uint32_t channel_input(void);
void channel_read(char *bytes, size_t count);

#endif
