/* --disk FILE[,ro][,id=NAME][,overlay=FILE][,rate=SIZE][,iops=N][,burst=TIME]: what a disk is made
 * from. */
#ifndef SAMARA_MONITOR_DISK_CONFIG_H
#define SAMARA_MONITOR_DISK_CONFIG_H

#include <stdbool.h>

#include "devices/rate.h"
#include "monitor/err.h"

struct disk_config {
    const char *path;
    const char *id; /* what the guest can ask for, at most 20 characters; "" */
    bool read_only;
    struct rate_config rate;
    const char *overlay; /* what is written goes there, and path stays as it is; NULL */
    bool of_snapshot; /* a clone's: without `overlay`, or ro, there is one for as long as it runs */
};

/* From the option's value; a comma of the path's own is written twice. Strings are allocated and
 * stay. -1 with err. */
int disk_config_parse(struct disk_config *config, const char *text, struct err *err);

#endif
