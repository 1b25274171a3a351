/* The command line of `samara run`, as a table. */
#ifndef SAMARA_MONITOR_OPTIONS_H
#define SAMARA_MONITOR_OPTIONS_H

#include <stdbool.h>

#include "monitor/err.h"
#include "monitor/vm_config.h"

struct run_options {
    struct vm_config vm;
    uint64_t timeout_ns; /* 0: none */
    bool help;
};

/* Parses the words after "run". The strings stay argv's, but for the argument and environment
 * blocks, which last as long as the process. -1 with err. */
int options_parse(struct run_options *options, int argc, char **argv, struct err *err);

/* Prints the options, to standard output. */
void options_help(void);

#endif
