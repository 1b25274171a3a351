/*
 * The monitor of a VM under attack, from outside: what it takes of the host, and whether it
 * answers. And what an attack is made of. All of them fail the test if something is not so.
 */
#ifndef TESTS_VM_HOSTILE_JUDGE_H
#define TESTS_VM_HOSTILE_JUDGE_H

#include <sys/types.h>
#include <sys/un.h>

/* The monitor that this keeper started. */
pid_t monitor_of(pid_t keeper);
/* It never had more memory, and has no more descriptors, than this. (Sanitizers take their own.) */
void is_small(pid_t monitor, long most_kib, long most_files);
/* The command succeeds with the VM of that name, in the runtime directory of the test's own. */
void own_runtime_directory(void);
void answers_control(const char *name, const char *command);

/* How often something is done: less where each instruction is emulated. */
int times(int usual, int emulated);

/* A tap that is up, in a network of the test's own. */
void own_tap(const char *name);
void allow_files(unsigned count);
struct sockaddr_un address_of(const char *path);

#endif
