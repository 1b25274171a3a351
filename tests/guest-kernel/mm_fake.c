#include "tests/guest-kernel/mm_fake.h"

#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/pagetable.h"
#include "guest-kernel/task/process.h"

/* <stdlib.h> and <sys/mman.h> define names of the guest's ABI again. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
_Noreturn void abort(void);
_Noreturn void exit(int status);
int rand(void);

#define HOST_MAP_FIXED_NORESERVE 0x4032 /* private, anonymous */

u64 boot_cr3;
struct process process;
unsigned fake_flushes, fake_reloads;

void gate_invlpg(u64 va)
{
    (void)va;
    fake_flushes++;
}

void gate_reload_cr3(void)
{
    fake_reloads++;
}

void random_bytes(void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)rand();
}

_Noreturn void process_kill(int sig, const char *why)
{
    (void)why;
    exit(128 + sig);
}

size_t signal_frame_max(void)
{
    return 3000;
}

struct file *file_get(struct file *f)
{
    f->refs++;
    return f;
}

void file_put(struct file *f)
{
    f->refs--;
}

long dentry_path(const struct dentry *d, char *buf, size_t size)
{
    (void)d;
    memcpy(buf, "/tmp/mapped", MIN(size, 12ul));
    return 11;
}

bool file_writable(const struct file *f)
{
    return f->flags & 2;
}

static void *fake_page(struct file *f, u64 index)
{
    return index < f->offset ? (char *)f->private + index * PAGE_SIZE : NULL;
}

struct file *fake_file(unsigned pages)
{
    static const struct file_ops ops = {.page = fake_page};
    static struct file f;

    f = (struct file){.refs = 1, .flags = 2, .ops = &ops, .offset = pages};
    f.private = pages_alloc(pages);
    return &f;
}

void fake_machine(u64 ram_bytes)
{
    if (boot_cr3) {
        mm_unmap(0, MM_TOP); /* the heap still has its slabs in this RAM */
        mm_init();
        return;
    }
    void *ram =
        mmap(page_at(0), ram_bytes, PROT_READ | PROT_WRITE, HOST_MAP_FIXED_NORESERVE, -1, 0);

    if (ram != page_at(0))
        abort();
    page_init(FAKE_FREE_START, ram_bytes);
    boot_cr3 = page_gpa(page_alloc());
    mm_init();
}

u8 *fake_byte(u64 addr)
{
    const pte *slot = pt_find(addr);

    if (!slot || !(*slot & PTE_P))
        return NULL;
    return (u8 *)page_at(*slot & PTE_FRAME) + addr % PAGE_SIZE;
}
