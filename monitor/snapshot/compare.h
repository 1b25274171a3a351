/* `samara diff`: what is different between two snapshots. */
#ifndef SAMARA_MONITOR_SNAPSHOT_COMPARE_H
#define SAMARA_MONITOR_SNAPSHOT_COMPARE_H

#include "monitor/report.h"

/* Runs the words after its name. Exit status, as of diff(1): 0 if nothing is, 1 if something, 125
 * if that cannot be told. */
int diff_command(int argc, char **argv, struct report *report);

#endif
