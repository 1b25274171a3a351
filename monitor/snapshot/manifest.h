/* manifest.json: what state says, for people and their scripts. It is made of state alone, so that
 * whoever doubts it makes it again; no program of ours believes it. */
#ifndef SAMARA_MONITOR_SNAPSHOT_MANIFEST_H
#define SAMARA_MONITOR_SNAPSHOT_MANIFEST_H

#include "monitor/snapshot/facts.h"

enum { MANIFEST_MOST = 64 << 10 /* bytes, more than strangers' text can make of it */ };

/* The text, its length in *length. */
void manifest_make(char text[MANIFEST_MOST], size_t *length, const struct snapshot_facts *facts);

#endif
