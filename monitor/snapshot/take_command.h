/* `samara snapshot`. */
#ifndef SAMARA_MONITOR_SNAPSHOT_TAKE_COMMAND_H
#define SAMARA_MONITOR_SNAPSHOT_TAKE_COMMAND_H

#include "monitor/report.h"

int snapshot_command(int argc, char **argv, struct report *report);

#endif
