/*
 * The host's side of the platform page and its doorbell (abi/platform.h). The page is guest memory:
 * what the guest wrote is copied before it is looked at.
 */
#ifndef SAMARA_MONITOR_PLATFORM_H
#define SAMARA_MONITOR_PLATFORM_H

#include "abi/platform.h"
#include "monitor/guest_mem.h"
#include "monitor/mmio_bus.h"

struct platform {
    const struct guest_mem *mem;
    void (*exited)(void *arg);   /* the doorbell said EXIT; under the device lock */
    void (*terminal)(void *arg); /* it said TERMINAL: platform_terminal; under the device lock */
    void *arg;
};

extern const struct mmio_ops platform_doorbell_ops;

struct platform_setup {
    uint32_t flags;
    uint16_t rows, cols;
    struct samara_termios terminal;
    uint64_t wall_base_ns, tsc_khz;
    uint8_t seed[32];
    uint64_t generation_id[2];
};

/* Writes the page for a fresh boot. */
int platform_init(struct platform *platform, const struct guest_mem *mem,
                  const struct platform_setup *setup, struct err *err);

/* Makes the page that lies in memory that of another individual: what the guest wrote stays, and so
 * do signals that it has not taken. */
int platform_renew(struct platform *platform, const struct guest_mem *mem,
                   const struct platform_setup *setup, struct err *err);

/* CLOCK_REALTIME at kvmclock zero, before a clone has looked. */
void platform_set_wall(struct platform *platform, uint64_t wall_base_ns);

/* Marks signal sig (1..63) as sent; the caller raises SAMARA_VECTOR_PLATFORM. False if the guest
 * has not taken the one sent before. */
bool platform_signal(struct platform *platform, int sig);

/* Stores the terminal's size; the caller sends SIGWINCH. */
void platform_resize(struct platform *platform, uint16_t rows, uint16_t cols);

/* Stores why stdio stream `number` (0-2) failed: an errno. */
void platform_stdio_failed(struct platform *platform, int number, int reason);

/* The modes that the guest wants of the terminal: a copy. */
void platform_terminal(const struct platform *platform, struct samara_termios *modes, bool *flush);

/* What the guest left: a copy, lengths and counts brought within bounds. */
void platform_read(const struct platform *platform, struct samara_platform *copy);

#endif
