#include "cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* proc(5): fields 14 and 15 are its own time, 16 and 17 that of children it waited for. */
static double of_process(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long ticks[4] = {0};
    const char *rest;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    rest = strrchr(text, ')'); /* behind the name, which may be anything */
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
                        &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4)
        return 0;
    return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) / (double)sysconf(_SC_CLK_TCK);
}

double cpu_of_tree(pid_t pid)
{
    double sum = of_process(pid);
    char path[80];
    int child;
    FILE *file;

    /* Children of the first thread only: no contestant here forks from another. */
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    if (!file)
        return sum;
    while (fscanf(file, "%d", &child) == 1)
        sum += cpu_of_tree((pid_t)child);
    fclose(file);
    return sum;
}
