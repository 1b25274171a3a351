/*
 * libFuzzer: an overlay's file. Input: what lies over the beginning of a good one, then how long
 * the file is. It is taken if, and only if, header and length are those of a good one, whatever its
 * bitmap says.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 1 << 20, HEADER = 4096, MOST = 2 * HEADER };

static int file = -1, base_fd = -1;

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct overlay_base base = {.size = SIZE, .changed_ns = 1234567};
    static uint8_t good[HEADER], now[HEADER];
    struct overlay *overlay;
    uint16_t cut = 0;
    bool sound;

    if (file < 0) {
        file = memfd_create("overlay", 0);
        base_fd = memfd_create("base", 0);
        must(ftruncate(base_fd, SIZE) == 0);
    }
    if (size >= sizeof(cut)) {
        memcpy(&cut, data, sizeof(cut));
        data += sizeof(cut);
        size -= sizeof(cut);
    }
    must(ftruncate(file, 0) == 0 && overlay_create(file, &base, OVERLAY_RESERVES, NULL) == 0);
    must(pread(file, good, sizeof(good), 0) == sizeof(good));
    must(pwrite(file, data, size < MOST ? size : MOST, 0) >= 0);
    must(pread(file, now, sizeof(now), 0) == sizeof(now));
    sound = memcmp(now, good, sizeof(good)) == 0;
    if (cut & 1) {
        must(ftruncate(file, cut / 2) == 0);
        sound = false;
    }
    overlay = overlay_load(file, base_fd, &base, NULL);
    must((overlay != NULL) == sound);
    overlay_free(overlay);
    return 0;
}
