/* Processor time of a process and its children, guest included, to the hundredth of a second. */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <sys/types.h>

/* In seconds; 0 if there is no such process. */
double cpu_of_tree(pid_t pid);

#endif
