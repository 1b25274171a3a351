/* The command lines of `samara run` and `samara restore`, as one table. */
#ifndef SAMARA_MONITOR_OPTIONS_H
#define SAMARA_MONITOR_OPTIONS_H

#include <stdbool.h>

#include "monitor/err.h"
#include "monitor/vm_config.h"

enum run_kind { RUN_PROGRAM, RUN_SNAPSHOT }; /* run, restore */

struct run_options {
    enum run_kind kind;
    struct vm_config vm; /* of a snapshot: `program` is its path, memory is not known yet */
    uint64_t timeout_ns; /* 0: none */
    bool park;           /* a snapshot: wait for `samara resume` before the first instruction */
    bool record;         /* ... the working set, even if it has one */
    bool help;
};

/* Parses the words after "run" or "restore". The strings stay argv's, but for the argument and
 * environment blocks, which last as long as the process. -1 with err. */
int options_parse(struct run_options *options, enum run_kind kind, int argc, char **argv,
                  struct err *err);

/* Prints the options, to standard output. */
void options_help(enum run_kind kind);

#endif
