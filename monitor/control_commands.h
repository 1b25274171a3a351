/* `samara ps`, `status`, `pause`, `resume`, `shutdown`, `kill`, `reset`, `record`. */
#ifndef SAMARA_MONITOR_CONTROL_COMMANDS_H
#define SAMARA_MONITOR_CONTROL_COMMANDS_H

#include "monitor/report.h"

/* Each runs the words after its name. Exit status: 0, or 1 if the VM said no or is not there. */
int ps_command(int argc, char **argv, struct report *report);
int status_command(int argc, char **argv, struct report *report);
int pause_command(int argc, char **argv, struct report *report);
int resume_command(int argc, char **argv, struct report *report);
int shutdown_command(int argc, char **argv, struct report *report);
int kill_command(int argc, char **argv, struct report *report);
int reset_command(int argc, char **argv, struct report *report);
int record_command(int argc, char **argv, struct report *report);

#endif
