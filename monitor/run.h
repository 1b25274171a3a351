/* `samara run` and `samara restore`. */
#ifndef SAMARA_MONITOR_RUN_H
#define SAMARA_MONITOR_RUN_H

#include "monitor/report.h"

/* Runs the words after "run". Returns the exit status; the report has text if there is something to
 * say. */
int run_command(int argc, char **argv, struct report *report);
int restore_command(int argc, char **argv, struct report *report);

#endif
