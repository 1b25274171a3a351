/*
 * A limit of what goes through a device: bytes and operations a second, either of them or both.
 *
 * Each that is used moves a clock of its own ahead by what it is worth; as long as the clock is not
 * further ahead of the real one than the burst, there may be more. So an idle device has a burst's
 * worth at once, and a busy one its rate. (The generic cell rate algorithm.)
 */
#ifndef SAMARA_DEVICES_RATE_H
#define SAMARA_DEVICES_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_BURST_NS UINT64_C(100000000) /* if nothing else is said */

struct rate_config {
    uint64_t bytes, operations; /* a second; 0: no limit */
    uint64_t burst_ns;          /* of both; 0: RATE_BURST_NS */
};

struct rate {
    struct rate_config config;
    uint64_t bytes_ns, operations_ns; /* the clocks */
};

static inline void rate_init(struct rate *rate, const struct rate_config *config)
{
    *rate = (struct rate){.config = *config};
    if (rate->config.burst_ns == 0)
        rate->config.burst_ns = RATE_BURST_NS;
}

/* When the next operation may begin: 0 for now, or the time. */
static inline uint64_t rate_wait(const struct rate *rate, uint64_t now_ns)
{
    uint64_t ahead = rate->bytes_ns > rate->operations_ns ? rate->bytes_ns : rate->operations_ns;

    return ahead > now_ns + rate->config.burst_ns ? ahead - rate->config.burst_ns : 0;
}

static inline uint64_t rate_advance(uint64_t clock_ns, uint64_t now_ns, uint64_t amount,
                                    uint64_t a_second)
{
    if (a_second == 0)
        return 0;
    return (clock_ns > now_ns ? clock_ns : now_ns) + amount * 1000000000 / a_second;
}

/* An operation of so many bytes (below 4 GiB) begins. */
static inline void rate_use(struct rate *rate, uint64_t now_ns, uint64_t bytes)
{
    rate->bytes_ns = rate_advance(rate->bytes_ns, now_ns, bytes, rate->config.bytes);
    rate->operations_ns = rate_advance(rate->operations_ns, now_ns, 1, rate->config.operations);
}

static inline bool rate_limits(const struct rate *rate)
{
    return rate->config.bytes != 0 || rate->config.operations != 0;
}

#endif
