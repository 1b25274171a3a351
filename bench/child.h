/* Child processes: started, listened to and timed. Times are CLOCK_MONOTONIC nanoseconds. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int in, out, err; /* our end of stdin (or -1), of stdout, and the memfd that took stderr */
    uint64_t started; /* just before posix_spawn (vfork and exec) */
    double cpu_s;     /* once reaped: its processor time, with that of those it waited for */
};

uint64_t now_ns(void);

/* Starts argv. with_stdin: a 1 MiB pipe at child->in, otherwise /dev/null. False if it cannot. */
bool child_start(struct child *child, char *const argv[], bool with_stdin);

/*
 * Reads stdout until end of file, at most timeout_ms between two reads; the first capacity - 1
 * bytes are kept, NUL-terminated. Returns the time of the first byte, 0 if there was none.
 */
uint64_t child_read(struct child *child, char *text, size_t capacity, int timeout_ms);

/* As child_read, but returns after the first byte: for a child that stays. */
uint64_t child_read_first(struct child *child, char *text, size_t capacity, int timeout_ms);

/* Waits and closes everything. *ended is the time at which it was reaped. Returns waitpid's status.
 */
int child_reap(struct child *child, uint64_t *ended);

/* SIGKILL, then child_reap. */
void child_kill(struct child *child);

/* Copies what the child said on stderr to ours, each line led by prefix. Before child_reap. */
void child_show_stderr(const struct child *child, const char *prefix);

#endif
