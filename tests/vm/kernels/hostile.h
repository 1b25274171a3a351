/*
 * What the hostile kernel can do to the monitor. An attack with an end leaves by itself: with 42 if
 * each thing it did was answered as promised, else with the number of the step that was not. One
 * without an end says "up\n" on standard output and goes on until it is ended from outside.
 */
#ifndef TESTS_VM_KERNELS_HOSTILE_H
#define TESTS_VM_KERNELS_HOSTILE_H

#include "tests/vm/kernels/driver.h"

enum { AS_PROMISED = 42, MEMORY = 64 << 20 /* that it is run with */ };

/* --- hostile_ring.c: with an end --- */
void bad_queues(void);   /* sizes and addresses, before and after they are ready */
void bad_chains(void);   /* in every queue that the device takes from */
void bad_requests(void); /* to each device, in chains that are sound */
void reset_midway(void); /* of disk and interface, with requests under way */

/* --- hostile_flood.c: without --- */
void kick_for_ever(void);   /* every queue there is, and nothing in it */
void reset_for_ever(void);  /* with requests under way */
void costly_for_ever(void); /* disk: refused requests of 4 MiB, which the device zeroes */
void free_for_ever(void); /* disk: requests that no limit of bytes counts, added beside the loop */
void frames_for_ever(void);  /* interface: headers of garbage and frames as fast as it goes */
void packets_for_ever(void); /* vsock: unknown types and operations, data without credit */
void connect_for_ever(void); /* vsock: after 100 000 connections it is up */
void connect_few(void);      /* the same after 10 000, for a slow machine */

#endif
