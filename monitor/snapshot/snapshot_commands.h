/* `samara inspect` and `samara verify`: snapshots as they lie there. */
#ifndef SAMARA_MONITOR_SNAPSHOT_COMMANDS_H
#define SAMARA_MONITOR_SNAPSHOT_COMMANDS_H

#include "monitor/report.h"

/* Each runs the words after its name. Exit status: 0, or 1 if it is no good snapshot. */
int inspect_command(int argc, char **argv, struct report *report);
int verify_command(int argc, char **argv, struct report *report);

#endif
