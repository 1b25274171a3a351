/* The system calls of memory: flags and errors as Linux has them, the work in map.c. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/mm_syscalls.h"
#include "guest-kernel/mm/pagetable.h"
#include "guest-kernel/mm/user.h"

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

enum { PROT_SEM = 8, PROT_GROWSDOWN = 0x01000000, PROT_GROWSUP = 0x02000000 };

enum {
    MAP_SHARED = 0x01,
    MAP_PRIVATE = 0x02,
    MAP_SHARED_VALIDATE = 0x03,
    MAP_TYPE = 0x0f,
    MAP_FIXED = 0x10,
    MAP_ANONYMOUS = 0x20,
    MAP_POPULATE = 0x8000,
    MAP_FIXED_NOREPLACE = 0x100000,
    /* Hints, and how: 32BIT, GROWSDOWN, DENYWRITE, EXECUTABLE, LOCKED, NORESERVE, NONBLOCK, STACK,
     * HUGETLB and its sizes. */
    MAP_HINTS =
        0x7c000000 | 0x40 | 0x100 | 0x800 | 0x1000 | 0x2000 | 0x4000 | 0x10000 | 0x20000 | 0x40000,
    MAP_KNOWN =
        MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED_NOREPLACE | MAP_HINTS,
};

enum {
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_PAGEOUT = 21,
    MADV_POPULATE_READ = 22,
    MADV_POPULATE_WRITE = 23,
    MADV_DONTNEED_LOCKED = 24,
    MADV_COLLAPSE = 25,
};

/* Makes a an area of file f; 0 or -errno. */
static int use_file(struct area *a, struct file *f, u64 offset)
{
    if (!f)
        return -EBADF;
    if (offset % PAGE_SIZE || offset > INT64_MAX)
        return -EINVAL;
    if (!file_readable(f))
        return -EACCES;
    if ((a->flags & AREA_SHARED) && (a->prot & PROT_WRITE) && !file_writable(f))
        return -EACCES;
    if (!f->ops->page)
        return -ENODEV;
    a->kind = AREA_FILE;
    a->file = f;
    a->offset = offset;
    return 0;
}

long sys_mmap(const u64 a[6])
{
    u64 addr = a[0], len = a[1], flags = a[3], type = flags & MAP_TYPE;
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    struct area area = {.kind = AREA_ANON, .prot = (u8)(a[2] & PROT_ALL)};
    struct file *f = NULL;
    u64 end;

    if (type < MAP_SHARED || type > MAP_SHARED_VALIDATE || len == 0)
        return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && (flags & MAP_ANONYMOUS))
        return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && (flags & ~(u64)MAP_KNOWN))
        return -EOPNOTSUPP;
    if (type != MAP_PRIVATE)
        area.flags = AREA_SHARED;
    if ((flags & MAP_FIXED_NOREPLACE) && mm_range(addr, len, &end) &&
        !area_is_free(&mm_areas, addr, end))
        return -EEXIST;

    long place = 0;
    if (!(flags & MAP_ANONYMOUS)) {
        f = fd_get((int)a[4]);
        place = use_file(&area, f, a[5]);
    }
    if (place == 0)
        place = mm_map(addr, len, fixed, area);
    if (f)
        file_put(f);
    if (place > 0 && (flags & MAP_POPULATE))
        mm_populate((u64)place, (u64)place + len);
    return place;
}

long sys_munmap(const u64 a[6])
{
    return mm_unmap(a[0], a[1]);
}

long sys_mprotect(const u64 a[6])
{
    /* PROT_GROWSDOWN and PROT_GROWSUP are for stacks that grow; ours is mapped whole. */
    const u64 known = PROT_ALL | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP;

    if (a[0] % PAGE_SIZE || ((a[2] & ~known) && a[1]))
        return -EINVAL;
    return mm_protect(a[0], a[1], (u32)a[2] & PROT_ALL);
}

long sys_pkey_mprotect(const u64 a[6])
{
    return (int)a[3] == -1 ? sys_mprotect(a) : -EINVAL;
}

long sys_brk(const u64 a[6])
{
    return (long)mm_brk(a[0]);
}

long sys_mremap(const u64 a[6])
{
    return mm_remap(a[0], a[1], a[2], (u32)a[3], a[4]);
}

/* 0 if the whole range is mapped. */
static long check_mapped(u64 addr, u64 len)
{
    u64 end;

    if (addr % PAGE_SIZE)
        return -EINVAL;
    if (!mm_range(addr, len, &end) || !area_covers(&mm_areas, addr, end))
        return -ENOMEM;
    return 0;
}

/* Files live in the same pages that are mapped: there is nothing to write back. */
long sys_msync(const u64 a[6])
{
    enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };

    if ((a[2] & ~7ull) || (a[2] & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    return check_mapped(a[0], a[1]);
}

long sys_mincore(const u64 a[6])
{
    u64 count = a[1] / PAGE_SIZE + (a[1] % PAGE_SIZE != 0);
    long error = check_mapped(a[0], a[1]);
    u8 chunk[256];

    if (error)
        return error;
    for (u64 done = 0; done < count;) {
        u64 part = MIN(count - done, sizeof(chunk));

        for (u64 i = 0; i < part; i++) {
            const pte *slot = pt_find(a[0] + (done + i) * PAGE_SIZE);

            chunk[i] = slot && *slot;
        }
        if (copy_to_user(a[2] + done, chunk, part) != 0)
            return -EFAULT;
        done += part;
    }
    return 0;
}

static long populate(u64 addr, u64 len)
{
    long error = check_mapped(addr, len);

    if (!error)
        mm_populate(addr, addr + len);
    return error;
}

/* Advice that changes nothing the program can see. */
static bool is_hint(u64 advice)
{
    return advice < MADV_DONTNEED || (advice > MADV_REMOVE && advice <= MADV_PAGEOUT) ||
           advice == MADV_COLLAPSE;
}

long sys_madvise(const u64 a[6])
{
    u64 addr = a[0], len = a[1];

    if (addr % PAGE_SIZE)
        return -EINVAL;
    switch (a[2]) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE: /* the moment is ours to choose: now keeps the sandbox small */
        return mm_discard(addr, len);
    case MADV_REMOVE:
        return -EINVAL;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return populate(addr, len);
    default:
        return is_hint(a[2]) ? check_mapped(addr, len) : -EINVAL;
    }
}

/* Nothing is ever swapped: every page that is there is locked. */
long sys_mlock(const u64 a[6])
{
    u64 start = a[0] & ~(PAGE_SIZE - 1);
    long error = check_mapped(start, a[1] + (a[0] - start));

    if (!error)
        mm_populate(start, a[0] + a[1]);
    return error;
}

long sys_mlock2(const u64 a[6])
{
    enum { MLOCK_ONFAULT = 1 };

    if (a[2] & ~1ull)
        return -EINVAL;
    return a[2] & MLOCK_ONFAULT ? check_mapped(a[0] & ~(PAGE_SIZE - 1), a[1]) : sys_mlock(a);
}

long sys_munlock(const u64 a[6])
{
    u64 start = a[0] & ~(PAGE_SIZE - 1);

    return check_mapped(start, a[1] + (a[0] - start));
}

long sys_mlockall(const u64 a[6])
{
    return a[0] == 0 || (a[0] & ~7ull) ? -EINVAL : 0;
}

long sys_munlockall(const u64 a[6])
{
    (void)a;
    return 0;
}

/* One NUMA node: any policy is the same policy. */
long sys_mbind(const u64 a[6])
{
    return check_mapped(a[0], a[1]);
}

long sys_set_mempolicy(const u64 a[6])
{
    (void)a;
    return 0;
}

long sys_get_mempolicy(const u64 a[6])
{
    u32 mode = 0;
    u64 nodes = 1;

    if (a[0] && copy_to_user(a[0], &mode, sizeof(mode)) != 0)
        return -EFAULT;
    if (a[1] && a[2] >= 64 && copy_to_user(a[1], &nodes, sizeof(nodes)) != 0)
        return -EFAULT;
    return 0;
}
