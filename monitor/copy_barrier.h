/* Ends a copy out of guest memory: what was copied in cannot be fetched again by the compiler. */
#ifndef SAMARA_MONITOR_COPY_BARRIER_H
#define SAMARA_MONITOR_COPY_BARRIER_H

static inline void copy_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif
