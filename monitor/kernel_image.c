/* See kernel_image.h. The embedded kernel is found through samara's own program headers. */
#include "monitor/kernel_image.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/guest_mem.h"

enum { PAGE = 4096, WINDOW_4K_END = 2 << 20 };

extern const uint8_t samara_kernel_blob[], samara_kernel_blob_end[];

struct blob_search {
    uint64_t offset;
    bool found;
};

static int look_in_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct blob_search *search = arg;
    uint64_t blob = (uint64_t)(uintptr_t)samara_kernel_blob;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum && !search->found; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint64_t at = info->dlpi_addr + p->p_vaddr;

        if (p->p_type == PT_LOAD && blob >= at && blob - at < p->p_filesz) {
            search->offset = p->p_offset + (blob - at);
            search->found = true;
        }
    }
    return search->found;
}

static int open_embedded(struct kernel_image *image, struct err *err)
{
    struct blob_search search = {0};

    dl_iterate_phdr(look_in_object, &search);
    if (!search.found || search.offset % PAGE != 0)
        return err_set(err, "the embedded guest kernel is not where it should be");
    image->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (image->fd < 0)
        return err_sys(err, "open /proc/self/exe");
    image->start = search.offset;
    image->size = (uint64_t)(samara_kernel_blob_end - samara_kernel_blob);
    return 0;
}

static int open_file(struct kernel_image *image, const char *path, struct err *err)
{
    struct stat st;

    image->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would block */
    if (image->fd < 0)
        return err_sys(err, "open %s", path);
    if (fstat(image->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, "%s: not a regular file", path);
    image->size = (uint64_t)st.st_size;
    return 0;
}

int kernel_image_open(struct kernel_image *image, const char *path, struct err *err)
{
    image->fd = -1;
    image->start = 0;
    return path ? open_file(image, path, err) : open_embedded(image, err);
}

int kernel_image_read(struct kernel_image *image, const char *path, struct err *err)
{
    const char *name = path ? path : "embedded guest kernel";

    if (elf_read(&image->elf, image->fd, image->start, image->size, err) != 0 ||
        elf_read_notes(&image->elf, image->fd, image->start, image->size, err) != 0)
        return err_in(err, "%s", name);
    if (!image->elf.has_samara_note && !image->elf.has_pvh_entry)
        return err_set(err, "%s: neither a samara nor a PVH kernel (no such note in it)", name);
    return 0;
}

void kernel_image_close(struct kernel_image *image)
{
    if (image->fd >= 0)
        close(image->fd);
    image->fd = -1;
}

static uint64_t page_up(uint64_t at)
{
    return (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* The file's pages that hold the segment; what lies behind its contents in the last page is
 * cleared. */
static int map_segment(const struct kernel_image *image, const struct elf_segment *s, uint8_t *ram,
                       struct err *err)
{
    uint64_t lead = s->paddr % PAGE;
    uint64_t end = s->paddr + s->file_size;

    if (s->file_size == 0)
        return 0;
    if ((s->offset ^ s->paddr) % PAGE != 0)
        return err_set(err, "guest kernel: a segment is not aligned with its physical address");
    if (mmap(ram + s->paddr - lead, lead + s->file_size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED, image->fd,
             (off_t)(image->start + s->offset - lead)) == MAP_FAILED)
        return err_sys(err, "map the guest kernel");
    if (s->memory_size > s->file_size)
        memset(ram + end, 0, page_up(end) - end);
    return 0;
}

uint64_t kernel_image_map(const struct kernel_image *image, uint8_t *ram, uint64_t ram_size,
                          struct err *err)
{
    uint64_t low = ram_below_hole(ram_size);
    uint64_t limit = image->elf.has_samara_note ? WINDOW_4K_END : low;
    uint64_t end = 0;

    for (unsigned i = 0; i < image->elf.segment_count; i++) {
        const struct elf_segment *s = &image->elf.segments[i];
        uint64_t stop;

        if (s->paddr < SAMARA_GPA_KERNEL || s->paddr > limit || s->memory_size > limit - s->paddr ||
            page_up(s->paddr) < end) {
            err_set(err, "guest kernel: segment at physical 0x%llx does not fit",
                    (unsigned long long)s->paddr);
            return 0;
        }
        stop = page_up(s->paddr + s->memory_size);
        if (map_segment(image, s, ram, err) != 0)
            return 0;
        end = stop > end ? stop : end;
    }
    return end;
}
