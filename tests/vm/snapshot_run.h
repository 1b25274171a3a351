/* What tests of snapshots share: sources, clones, lines to and from them. */
#ifndef TESTS_VM_SNAPSHOT_RUN_H
#define TESTS_VM_SNAPSHOT_RUN_H

#include "tests/vm/runner.h"

enum { SNAP_LINE = 128, SNAP_WORDS = 12 };

/* The VMs of this test have a runtime directory of their own. Before anything else here. */
void snap_begin(void);

/* `samara run --seccomp=kill --name NAME`, then these words; and the same that restores. Their
 * standard input stays open. */
void snap_run(struct running *r, const char *name, const char *const words[]);
void snap_restore(struct running *r, const char *name, const char *path,
                  const char *const options[]);
extern const char *const snap_no_words[];

/* A snapshot of that VM, at this place in the scratch directory: it must succeed. Returns the path,
 * in a static buffer of its own. */
const char *snap_take(const char *name, const char *out);

/* Runs samara with these words. */
void snap_command(struct outcome *o, const char *const words[]);
/* ... which must succeed and complain of nothing. */
void snap_succeed(const char *const words[]);

void snap_say(const struct running *r, const char *line);
/* The next line that it says has to be this one. */
void snap_hear(const struct running *r, const char *want);
void snap_read_line(const struct running *r, char to[SNAP_LINE]);

/* How often the text, shorter than a line, lies in the memory of the VM whose keeper this is, the
 * guest's and the monitor's own. */
unsigned snap_count_in_monitor(pid_t keeper, const char *text);

/* It ends by itself, with this status and nothing more to say. */
void snap_ends(struct running *r, int status);

#endif
