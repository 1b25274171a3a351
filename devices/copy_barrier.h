/* Ends a copy out of guest memory: what was copied in cannot be fetched again by the compiler. */
#ifndef SAMARA_DEVICES_COPY_BARRIER_H
#define SAMARA_DEVICES_COPY_BARRIER_H

static inline void copy_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif
