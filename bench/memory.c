#include "memory.h"

#include <stdio.h>

static bool memory_of_process(pid_t pid, struct memory_use *use)
{
    char path[64], line[256];
    double kib;
    FILE *file;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Rss: %lf", &kib) == 1)
            use->rss += kib;
        else if (sscanf(line, "Pss: %lf", &kib) == 1) {
            use->pss += kib;
            found = true;
        }
    }
    fclose(file);
    return found;
}

bool memory_of_tree(pid_t pid, struct memory_use *use)
{
    char path[80];
    int child;
    FILE *file;

    if (!memory_of_process(pid, use))
        return false;
    /* Children of the first thread only: no contestant here forks from another. */
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    if (!file)
        return true;
    while (fscanf(file, "%d", &child) == 1)
        memory_of_tree((pid_t)child, use);
    fclose(file);
    return true;
}
