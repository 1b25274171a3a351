/* The guest kernel's file: the one samara carries inside itself, or --kernel's. */
#ifndef SAMARA_MONITOR_KERNEL_IMAGE_H
#define SAMARA_MONITOR_KERNEL_IMAGE_H

#include "monitor/elf_image.h"

struct kernel_image {
    int fd;
    uint64_t start; /* where in fd the ELF begins; page-aligned */
    uint64_t size;
    struct elf_image elf;
};

#define KERNEL_IMAGE_CLOSED                                                                        \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Opens it; path NULL: the embedded kernel. -1 with err. */
int kernel_image_open(struct kernel_image *image, const char *path, struct err *err);
/* Then reads its headers; path as it was. -1 with err. */
int kernel_image_read(struct kernel_image *image, const char *path, struct err *err);
void kernel_image_close(struct kernel_image *image);

/* Maps every segment privately at its physical address in ram (ram_size bytes from address 0): text
 * is shared with all other VMs through the page cache. Returns the end of the image, or 0 with err.
 */
uint64_t kernel_image_map(const struct kernel_image *image, uint8_t *ram, uint64_t ram_size,
                          struct err *err);

#endif
