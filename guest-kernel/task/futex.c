/*
 * See futex.h. Waiters sit in hash buckets by address, in the order they came. The kernel is not
 * preempted, so reading the word and queueing is one step by itself.
 */
#include "guest-kernel/task/futex.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/futex_queue.h"
#include "guest-kernel/task/task.h"
#include "guest-kernel/task/task_syscalls.h"

enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5,
    FUTEX_LOCK_PI = 6,
    FUTEX_UNLOCK_PI = 7,
    FUTEX_TRYLOCK_PI = 8,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_LOCK_PI2 = 13,
    FUTEX_PRIVATE_FLAG = 128,
    FUTEX_CLOCK_REALTIME = 256,
};

enum { BUCKETS = 64 };

static struct futex_waiter *buckets[BUCKETS];

static struct futex_waiter **bucket_of(u64 addr)
{
    return &buckets[(addr >> 2 ^ addr >> 8 ^ addr >> 14) % BUCKETS];
}

static void enqueue(struct futex_waiter *waiter)
{
    struct futex_waiter **end = bucket_of(waiter->addr);

    while (*end)
        end = &(*end)->next;
    waiter->next = NULL;
    waiter->queued = true;
    *end = waiter;
}

static void dequeue(struct futex_waiter *waiter)
{
    struct futex_waiter **link = bucket_of(waiter->addr);

    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    waiter->queued = false;
}

struct futex_waiter *futex_first(u64 addr, u32 bits)
{
    struct futex_waiter *waiter = *bucket_of(addr);

    while (waiter && !(waiter->addr == addr && waiter->bits & bits))
        waiter = waiter->next;
    return waiter;
}

void futex_wake_waiter(struct futex_waiter *waiter)
{
    dequeue(waiter);
    wake_all(&waiter->queue);
}

int futex_wake(u64 addr, int count, u32 bits)
{
    struct futex_waiter *waiter;
    int woken = 0;

    while (woken < count && (waiter = futex_first(addr, bits))) {
        futex_wake_waiter(waiter);
        woken++;
    }
    return woken;
}

u32 *futex_word(u64 addr, bool write, int *error)
{
    if (addr % sizeof(u32)) {
        *error = -EINVAL;
        return NULL;
    }
    *error = user_prepare(addr, sizeof(u32), write);
    return *error ? NULL : user_pointer(addr);
}

int futex_sleep(u64 addr, u32 bits, u64 deadline)
{
    struct futex_waiter waiter = {.addr = addr, .bits = bits, .tid = (u32)task_current()->tid};
    int err;

    enqueue(&waiter);
    do {
        err = wait_on(&waiter.queue, deadline);
    } while (err == 0 && waiter.queued);
    if (!waiter.queued)
        return 0;
    dequeue(&waiter);
    return err;
}

static long futex_wait(u64 addr, u32 expected, u32 bits, u64 deadline)
{
    int error;
    const u32 *word = futex_word(addr, false, &error);

    if (!word)
        return error;
    if (bits == 0)
        return -EINVAL;
    if (*word != expected)
        return -EAGAIN;
    return futex_sleep(addr, bits, deadline);
}

static long futex_wake_checked(u64 addr, int count, u32 bits)
{
    if (addr % sizeof(u32) || bits == 0)
        return -EINVAL;
    return futex_wake(addr, MAX(count, 1), bits);
}

static long futex_requeue(u64 from, u64 to, int wakes, int moves, const u32 *expected)
{
    struct futex_waiter *waiter;
    int error, woken, moved = 0;
    const u32 *word = futex_word(from, false, &error);

    if (!word)
        return error;
    if (to % sizeof(u32) || wakes < 0 || moves < 0)
        return -EINVAL;
    if (expected && *word != *expected)
        return -EAGAIN;
    woken = futex_wake(from, wakes, FUTEX_ANY);
    while (from != to && moved < moves && (waiter = futex_first(from, FUTEX_ANY))) {
        dequeue(waiter);
        waiter->addr = to;
        enqueue(waiter);
        moved++;
    }
    return woken + moved;
}

/* FUTEX_OP_*: op in bits 28-30, its argument in 12-23, comparison in 24-27 with 0-11. */
static bool apply_op(u32 *word, u32 op, bool *compares)
{
    enum { ARG_IS_SHIFT = 8 };
    u32 code = op >> 28;
    s32 arg = (s32)(op << 8) >> 20, with = (s32)(op << 20) >> 20;
    s32 old = (s32)*word;

    if (code & ARG_IS_SHIFT)
        arg = (s32)(1u << (arg & 31));
    switch (code & 7) {
    case 0:
        *word = (u32)arg;
        break;
    case 1:
        *word += (u32)arg;
        break;
    case 2:
        *word |= (u32)arg;
        break;
    case 3:
        *word &= ~(u32)arg;
        break;
    case 4:
        *word ^= (u32)arg;
        break;
    default:
        return false;
    }
    switch (op >> 24 & 15) {
    case 0:
        *compares = old == with;
        break;
    case 1:
        *compares = old != with;
        break;
    case 2:
        *compares = old < with;
        break;
    case 3:
        *compares = old <= with;
        break;
    case 4:
        *compares = old > with;
        break;
    case 5:
        *compares = old >= with;
        break;
    default:
        return false;
    }
    return true;
}

static long futex_wake_op(u64 first, u64 second, int wakes, int wakes_second, u32 op)
{
    int error, woken;
    bool compares = false;
    u32 *word = futex_word(second, true, &error);

    if (!word)
        return error;
    if (first % sizeof(u32))
        return -EINVAL;
    if (!apply_op(word, op, &compares))
        return -ENOSYS;
    woken = futex_wake(first, MAX(wakes, 1), FUTEX_ANY);
    if (compares)
        woken += futex_wake(second, MAX(wakes_second, 1), FUTEX_ANY);
    return woken;
}

/* The deadline of a waiting command; only WAIT takes a relative time. */
static int read_deadline(int command, bool realtime, u64 addr, u64 *deadline)
{
    bool absolute = command != FUTEX_WAIT;
    int clock = realtime || command == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    u64 ns;
    int err;

    *deadline = WAIT_FOREVER;
    if (!addr)
        return 0;
    err = timespec_from_user(addr, &ns);
    if (err == 0)
        *deadline = clock_deadline(clock, ns, absolute);
    return err;
}

static bool takes_timeout(int command)
{
    return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
           command == FUTEX_LOCK_PI2;
}

long sys_futex(const u64 a[6])
{
    u64 addr = a[0], second = a[4], deadline = WAIT_FOREVER;
    int command = (int)a[1] & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    u32 value = (u32)a[2], value3 = (u32)a[5];
    int count = (int)a[2], count2 = (int)a[3];

    if (takes_timeout(command)) {
        int err = read_deadline(command, a[1] & FUTEX_CLOCK_REALTIME, a[3], &deadline);

        if (err)
            return err;
    }
    switch (command) {
    case FUTEX_WAIT:
        return futex_wait(addr, value, FUTEX_ANY, deadline);
    case FUTEX_WAIT_BITSET:
        return futex_wait(addr, value, value3, deadline);
    case FUTEX_WAKE:
        return futex_wake_checked(addr, count, FUTEX_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake_checked(addr, count, value3);
    case FUTEX_REQUEUE:
        return futex_requeue(addr, second, count, count2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(addr, second, count, count2, &value3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(addr, second, count, count2, value3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return futex_lock_pi(addr, deadline, false);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(addr, deadline, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(addr);
    default:
        return -ENOSYS;
    }
}
