/*
 * See futex.h. Waiters sit in hash buckets by key, in the order they came. The kernel is not
 * preempted, so reading the word and queueing is one step by itself.
 */
#include "guest-kernel/task/futex.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/pagetable.h"
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

static struct futex_waiter **bucket_of(u64 key)
{
    return &buckets[(key >> 2 ^ key >> 8 ^ key >> 14) % BUCKETS];
}

static void enqueue(struct futex_waiter *waiter)
{
    struct futex_waiter **end = bucket_of(waiter->key);

    while (*end)
        end = &(*end)->next;
    waiter->next = NULL;
    waiter->queued = true;
    *end = waiter;
}

static void dequeue(struct futex_waiter *waiter)
{
    struct futex_waiter **link = bucket_of(waiter->key);

    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    waiter->queued = false;
}

struct futex_waiter *futex_first(u64 key, u32 bits, bool pi)
{
    struct futex_waiter *waiter = *bucket_of(key);

    while (waiter && !(waiter->key == key && waiter->bits & bits && waiter->pi == pi))
        waiter = waiter->next;
    return waiter;
}

struct futex_waiter *futex_waits_for(u32 tid)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct futex_waiter *waiter = buckets[i]; waiter; waiter = waiter->next)
            if (waiter->pi && waiter->owner == tid)
                return waiter;
    }
    return NULL;
}

void futex_set_owner(u64 key, u32 tid)
{
    for (struct futex_waiter *waiter = *bucket_of(key); waiter; waiter = waiter->next)
        if (waiter->key == key && waiter->pi)
            waiter->owner = tid;
}

void futex_wake_waiter(struct futex_waiter *waiter)
{
    dequeue(waiter);
    wake_all(&waiter->queue);
}

int futex_wake_key(u64 key, int count, u32 bits)
{
    struct futex_waiter *waiter;
    int woken = 0;

    while (woken < count && (waiter = futex_first(key, bits, false))) {
        futex_wake_waiter(waiter);
        woken++;
    }
    return woken;
}

/* A file's page may be mapped in several places: there the key is where it lies in the physical
 * window, which no program address is. */
static u64 shared_key(u64 addr)
{
    const struct area *a = area_find(&mm_areas, addr);

    if (!a || a->kind != AREA_FILE || !(a->flags & AREA_SHARED))
        return addr;
    return (u64)(uintptr_t)page_at(*pt_find(addr) & PTE_FRAME) + addr % PAGE_SIZE;
}

int futex_at(struct futex *f, u64 addr, bool shared, bool write)
{
    if (addr % sizeof(u32))
        return -EINVAL;
    if (user_prepare(addr, sizeof(u32), write) != 0)
        return -EFAULT;
    *f = (struct futex){user_pointer(addr), addr, shared ? shared_key(addr) : addr};
    return 0;
}

/* For waking alone: a private word need not be there. */
static int key_at(u64 *key, u64 addr, bool shared)
{
    struct futex f;
    int error;

    *key = addr;
    if (!shared)
        return addr % sizeof(u32) ? -EINVAL : 0;
    error = futex_at(&f, addr, true, false);
    if (!error)
        *key = f.key;
    return error;
}

int futex_wake(u64 addr, int count, u32 bits)
{
    u64 key;

    return key_at(&key, addr, true) == 0 ? futex_wake_key(key, count, bits) : 0;
}

int futex_sleep(const struct futex *f, struct futex_waiter *waiter, u64 deadline)
{
    int err;

    waiter->key = f->key;
    waiter->addr = f->addr;
    waiter->tid = (u32)task_current()->tid;
    enqueue(waiter);
    do {
        err = wait_on(&waiter->queue, deadline);
    } while (err == 0 && waiter->queued);
    if (!waiter->queued)
        return 0;
    dequeue(waiter);
    return err;
}

static long futex_wait(u64 addr, bool shared, u32 expected, u32 bits, u64 deadline)
{
    struct futex_waiter waiter = {.bits = bits};
    struct futex f;
    int error = futex_at(&f, addr, shared, false);

    if (error)
        return error;
    if (bits == 0)
        return -EINVAL;
    if (*f.word != expected)
        return -EAGAIN;
    return futex_sleep(&f, &waiter, deadline);
}

static long futex_wake_checked(u64 addr, bool shared, int count, u32 bits)
{
    u64 key;
    int error = bits ? key_at(&key, addr, shared) : -EINVAL;

    return error ? error : futex_wake_key(key, MAX(count, 1), bits);
}

/* What a requeue does, beside its two words. */
struct requeue {
    bool shared;
    int wakes, moves;
    const u32 *expected; /* of the first word, or NULL */
};

static int move_waiters(u64 from, u64 to, u64 to_addr, int moves)
{
    struct futex_waiter *waiter;
    int moved = 0;

    while (from != to && moved < moves && (waiter = futex_first(from, FUTEX_ANY, false))) {
        dequeue(waiter);
        waiter->key = to;
        waiter->addr = to_addr;
        enqueue(waiter);
        moved++;
    }
    return moved;
}

static long futex_requeue(u64 addr, u64 to_addr, const struct requeue *r)
{
    struct futex from;
    u64 to;
    int error = futex_at(&from, addr, r->shared, false);
    int woken;

    if (error == 0)
        error = key_at(&to, to_addr, r->shared);
    if (error)
        return error;
    if (r->wakes < 0 || r->moves < 0)
        return -EINVAL;
    if (r->expected && *from.word != *r->expected)
        return -EAGAIN;
    woken = futex_wake_key(from.key, r->wakes, FUTEX_ANY);
    return woken + move_waiters(from.key, to, to_addr, r->moves);
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

static long futex_wake_op(u64 first, u64 second, bool shared, int wakes, int wakes_second, u32 op)
{
    struct futex f;
    u64 key;
    bool compares = false;
    int woken, error = key_at(&key, first, shared);

    if (error == 0)
        error = futex_at(&f, second, shared, true);
    if (error)
        return error;
    if (!apply_op(f.word, op, &compares))
        return -ENOSYS;
    woken = futex_wake_key(key, MAX(wakes, 1), FUTEX_ANY);
    if (compares)
        woken += futex_wake_key(f.key, MAX(wakes_second, 1), FUTEX_ANY);
    return woken;
}

static long pi_command(int command, u64 addr, bool shared, u64 deadline)
{
    struct futex f;
    int error = futex_at(&f, addr, shared, true);

    if (error)
        return error;
    if (command == FUTEX_UNLOCK_PI)
        return futex_unlock_pi(&f);
    return futex_lock_pi(&f, deadline, command == FUTEX_TRYLOCK_PI);
}

static int command_of(u64 operation)
{
    return (int)operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
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

bool futex_takes_mutex(u64 operation)
{
    int command = command_of(operation);

    return command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2;
}

long sys_futex(const u64 a[6])
{
    u64 addr = a[0], second = a[4], deadline = WAIT_FOREVER;
    int command = command_of(a[1]);
    bool shared = !(a[1] & FUTEX_PRIVATE_FLAG);
    u32 value = (u32)a[2], value3 = (u32)a[5];
    int count = (int)a[2], count2 = (int)a[3];
    const struct requeue requeue = {shared, count, count2,
                                    command == FUTEX_CMP_REQUEUE ? &value3 : NULL};

    if (takes_timeout(command)) {
        int err = read_deadline(command, a[1] & FUTEX_CLOCK_REALTIME, a[3], &deadline);

        if (err)
            return err;
    }
    switch (command) {
    case FUTEX_WAIT:
        return futex_wait(addr, shared, value, FUTEX_ANY, deadline);
    case FUTEX_WAIT_BITSET:
        return futex_wait(addr, shared, value, value3, deadline);
    case FUTEX_WAKE:
        return futex_wake_checked(addr, shared, count, FUTEX_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake_checked(addr, shared, count, value3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(addr, second, &requeue);
    case FUTEX_WAKE_OP:
        return futex_wake_op(addr, second, shared, count, count2, value3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
        return pi_command(command, addr, shared, deadline);
    default:
        return -ENOSYS;
    }
}
