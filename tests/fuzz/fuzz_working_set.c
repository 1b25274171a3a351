/*
 * libFuzzer: the file `working-set`. Input: a byte (1: its checksum is made right first), then the
 * file. What passes the check is pages in memory, ascending, as many as there may be.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/working_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHECKSUM_AT = 32 };

static const struct snapshot_header snapshot = {.id = {1, 2, 3}, .memory = 1 << 20};

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

static void make_right(uint8_t *file, size_t size)
{
    struct checksum c;
    uint64_t sum = 0;

    if (size < sizeof(struct working_head))
        return;
    memcpy(file + CHECKSUM_AT, &sum, sizeof(sum));
    checksum_begin(&c);
    checksum_add(&c, file, size);
    sum = checksum_64(&c);
    memcpy(file + CHECKSUM_AT, &sum, sizeof(sum));
}

/* Judged by the bytes. */
static void is_sound(const uint8_t *file, size_t size)
{
    uint64_t end = 0, pages = 0;

    must(memcmp(file, "samaraws\1\0\0\0", 12) == 0 && memcmp(file + 16, snapshot.id, 16) == 0);
    must((size - 40) % 16 == 0 && (size - 40) / 16 <= 2048);
    for (size_t at = 40; at < size; at += 16) {
        uint64_t offset;
        uint32_t count, kind;

        memcpy(&offset, file + at, 8);
        memcpy(&count, file + at + 8, 4);
        memcpy(&kind, file + at + 12, 4);
        must(offset >= end && offset % 4096 == 0 && count > 0 && (kind == 1 || kind == 2));
        must(offset < snapshot.memory && count <= (snapshot.memory - offset) / 4096);
        end = offset + (uint64_t)count * 4096;
        pages += count;
    }
    must(pages <= 16384);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct working_set set;
    struct err err = {.text = ""};

    if (size == 0 || size - 1 > sizeof(set))
        return 0;
    memset(&set, 0xff, sizeof(set));
    memcpy(&set, data + 1, size - 1);
    if (data[0] == 1)
        make_right((uint8_t *)&set, size - 1);
    if (working_set_check(&set, size - 1, &snapshot, &err) == 0)
        is_sound((const uint8_t *)&set, size - 1);
    else
        must(strncmp(err.text, "working-set: ", 13) == 0 && !strchr(err.text, '\n'));
    return 0;
}
