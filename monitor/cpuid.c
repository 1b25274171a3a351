/*
 * See cpuid.h. The file: struct cache_header, then the entries. It is trusted as far as it is a
 * regular file of ours that nobody else can write; what does not fit is fetched again and replaced.
 *
 * What KVM supports can change without a boot: its module is loaded anew (that makes a new device
 * node), or the host is itself a machine that was moved to another processor.
 */
#include "monitor/cpuid.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/kvm.h"

enum {
    BOOT_ID = sizeof(((struct cpuid_key *)0)->boot_id),
    RELEASE = sizeof(((struct cpuid_key *)0)->release)
};

struct cache_header {
    char magic[8];
    struct cpuid_key key;
    uint32_t count;
    uint32_t pad;
};
_Static_assert(sizeof(struct cache_header) == 136, "cache layout");

static const char magic[8] = "smrcpu2";

static bool read_boot_id(char id[BOOT_ID])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, id, BOOT_ID) == BOOT_ID;

    if (fd >= 0)
        close(fd);
    return good;
}

static bool make_key(struct cpuid_key *key, int kvm)
{
    struct utsname name;
    struct stat st;
    unsigned ebx, ecx, edx;

    memset(key, 0, sizeof(*key));
    if (!read_boot_id(key->boot_id) || uname(&name) != 0 || fstat(kvm, &st) != 0)
        return false;
    memcpy(key->release, name.release, strnlen(name.release, RELEASE));
    key->device = st.st_ino;
    key->device_ns = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
    return __get_cpuid(1, &key->processor, &ebx, &ecx, &edx) != 0;
}

static bool ours_alone(const struct stat *st)
{
    return st->st_uid == geteuid() && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool read_cache(struct cpuid_table *table, int fd, const struct cpuid_key *key)
{
    struct cache_header h;
    struct stat st;
    size_t size;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !ours_alone(&st))
        return false;
    if (read(fd, &h, sizeof(h)) != sizeof(h) || memcmp(h.magic, magic, sizeof(magic)) != 0 ||
        memcmp(&h.key, key, sizeof(*key)) != 0 || h.count == 0 || h.count > CPUID_ENTRIES)
        return false;
    size = h.count * sizeof(table->entries[0]);
    table->head.nent = h.count;
    return read(fd, table->entries, size) == (ssize_t)size;
}

/* Best effort: without a cache every start is 300 us slower, nothing else. */
static void write_cache(const struct cpuid_table *table, int dir, const struct cpuid_key *key)
{
    struct cache_header h = {.key = *key, .count = table->head.nent};
    char name[40];
    size_t size = h.count * sizeof(table->entries[0]);
    bool good;
    int fd;

    memcpy(h.magic, magic, sizeof(magic));
    snprintf(name, sizeof(name), "cpuid.%d", getpid());
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    good =
        write(fd, &h, sizeof(h)) == sizeof(h) && write(fd, table->entries, size) == (ssize_t)size;
    good = close(fd) == 0 && good;
    if (!good || renameat(dir, name, dir, "cpuid") != 0)
        unlinkat(dir, name, 0);
}

void cpuid_cache_find(struct cpuid_cache *cache, int kvm, int dir)
{
    cache->dir = dir;
    cache->file = -1;
    if (dir < 0)
        return;
    if (make_key(&cache->key, kvm))
        cache->file = openat(dir, "cpuid", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    else
        fd_close(&cache->dir);
}

void cpuid_cache_close(struct cpuid_cache *cache)
{
    fd_close(&cache->dir);
    fd_close(&cache->file);
}

int cpuid_load(struct cpuid_table *table, int kvm, const struct cpuid_cache *cache, struct err *err)
{
    memset(&table->head, 0, sizeof(table->head));
    if (cache->file >= 0 && read_cache(table, cache->file, &cache->key))
        return 0;
    table->head.nent = CPUID_ENTRIES;
    if (KVM_CALL(kvm, KVM_GET_SUPPORTED_CPUID, table, err) < 0)
        return -1;
    if (cache->dir >= 0)
        write_cache(table, cache->dir, &cache->key);
    return 0;
}

const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid_table *table, uint32_t leaf,
                                          uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &table->entries[i];

        if (e->function == leaf &&
            (e->index == subleaf || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
            return e;
    }
    return NULL;
}
