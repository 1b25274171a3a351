/* `samara flatten`: of a snapshot and all beneath it, one that is whole. */
#ifndef SAMARA_MONITOR_SNAPSHOT_FLATTEN_H
#define SAMARA_MONITOR_SNAPSHOT_FLATTEN_H

#include "monitor/report.h"

/* Runs the words after its name. Exit status: 0, or 1 if there is no new snapshot. */
int flatten_command(int argc, char **argv, struct report *report);

#endif
