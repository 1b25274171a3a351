/* What a process and everything it started occupy, from /proc/PID/smaps_rollup. KiB. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

struct memory_use {
    double rss, pss;
};

/* Adds pid and its descendants to *use. False if pid cannot be read. */
bool memory_of_tree(pid_t pid, struct memory_use *use);

#endif
