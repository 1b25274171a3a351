#include "guest-kernel/task/exec_stack.h"

#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/task/signal.h"

#define STRINGS_MAX (STACK_SIZE / 4) /* as Linux: a quarter of the stack's limit */
#define POINTER     8ul

enum {
    AT_NULL = 0,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_PLATFORM = 15,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_HWCAP2 = 26,
    AT_EXECFN = 31,
    AT_MINSIGSTKSZ = 51,
};

/* The block being built: everything from rsp to top, kept in kernel memory until it is complete. */
struct builder {
    char *block;
    u64 base; /* program address of block */
    size_t at;
};

static u64 put(struct builder *b, const void *data, size_t size)
{
    u64 address = b->base + b->at;

    if (size > 0)
        memcpy(b->block + b->at, data, size);
    b->at += size;
    return address;
}

static void put_word(struct builder *b, u64 value)
{
    put(b, &value, sizeof(value));
}

static void put_aux(struct builder *b, u64 type, u64 value)
{
    put_word(b, type);
    put_word(b, value);
}

static size_t count_strings(const char *block, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += block[i] == '\0';
    return count;
}

/* Pointers to the strings of a block that lies at address, then NULL. */
static void put_pointers(struct builder *b, const char *block, size_t length, u64 address)
{
    size_t start = 0;

    for (size_t i = 0; i < length; i++) {
        if (block[i] != '\0')
            continue;
        put_word(b, address + start);
        start = i + 1;
    }
    put_word(b, 0);
}

struct strings {
    u64 argv, envp, path, platform, random;
};

static void put_auxv(struct builder *b, const struct exec_stack *s, const struct strings *at)
{
    put_aux(b, AT_HWCAP, cpuid(1, 0).edx);
    put_aux(b, AT_PAGESZ, PAGE_SIZE);
    put_aux(b, AT_CLKTCK, 100);
    put_aux(b, AT_PHDR, s->headers);
    put_aux(b, AT_PHENT, s->header_size);
    put_aux(b, AT_PHNUM, s->header_count);
    put_aux(b, AT_BASE, 0);
    put_aux(b, AT_FLAGS, 0);
    put_aux(b, AT_ENTRY, s->entry);
    put_aux(b, AT_UID, 0);
    put_aux(b, AT_EUID, 0);
    put_aux(b, AT_GID, 0);
    put_aux(b, AT_EGID, 0);
    put_aux(b, AT_SECURE, 0);
    put_aux(b, AT_RANDOM, at->random);
    put_aux(b, AT_HWCAP2, 0);
    put_aux(b, AT_EXECFN, at->path);
    put_aux(b, AT_PLATFORM, at->platform);
    put_aux(b, AT_MINSIGSTKSZ, signal_frame_max());
    put_aux(b, AT_NULL, 0);
}

#define AUX_COUNT 20ul

int exec_stack_build(const struct exec_stack *s, u64 *rsp)
{
    static const char platform[] = "x86_64";
    const struct exec_image *image = s->image;
    size_t argc = count_strings(image->argv, image->argv_length);
    size_t envc = count_strings(image->envp, image->envp_length);
    size_t path_size = strlen(image->exec_path) + 1;
    u8 random[16];

    if (image->argv_length > STRINGS_MAX || image->envp_length > STRINGS_MAX ||
        path_size > STRINGS_MAX || argc > STRINGS_MAX / POINTER || envc > STRINGS_MAX / POINTER)
        return -E2BIG;
    size_t words = (1 + argc + 1 + envc + 1 + 2 * AUX_COUNT) * POINTER;
    size_t strings = sizeof(random) + sizeof(platform) + image->argv_length + image->envp_length +
                     path_size + POINTER;
    if (words + strings > STRINGS_MAX)
        return -E2BIG;

    size_t size = (words + strings + 15) & ~15ul;
    struct builder b = {.block = kzalloc(size), .base = s->top - size, .at = words};
    if (!b.block)
        return -ENOMEM;
    random_bytes(random, sizeof(random));
    struct strings at;
    at.random = put(&b, random, sizeof(random));
    at.platform = put(&b, platform, sizeof(platform));
    at.argv = put(&b, image->argv, image->argv_length);
    at.envp = put(&b, image->envp, image->envp_length);
    at.path = put(&b, image->exec_path, path_size);

    b.at = 0;
    put_word(&b, argc);
    put_pointers(&b, image->argv, image->argv_length, at.argv);
    put_pointers(&b, image->envp, image->envp_length, at.envp);
    put_auxv(&b, s, &at);

    /* Below it the program will go on at once: map a little more. */
    mm_populate((b.base & ~(PAGE_SIZE - 1)) - 3 * PAGE_SIZE, s->top);
    bool written = mm_poke(b.base, b.block, size);
    kfree(b.block);
    *rsp = b.base;
    return written ? 0 : -ENOMEM;
}
