/* `samara clone`: several VMs from one snapshot. */
#ifndef SAMARA_MONITOR_SNAPSHOT_CLONE_H
#define SAMARA_MONITOR_SNAPSHOT_CLONE_H

#include "monitor/report.h"

/* Runs the words after its name: -n N, and what `samara restore` takes. Exit status: 0 if that of
 * all is, else 1. */
int clone_command(int argc, char **argv, struct report *report);

#endif
