// Runs a command with its standard streams connected to the monitor.
#ifndef RELAY_H
#define RELAY_H

#include "order.h"

/// Runs the order's command to its end; returns its exit status as a shell counts it.
int relay_run(const struct order *order);
/// The exit status in what wait4(2) reports: 128 and the signal's number for a killed process.
int exit_status(int report);

#endif
