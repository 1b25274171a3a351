#include "tests/guest-kernel/fs_fake.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/fs.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/listing.h"
#include "guest-kernel/net/vsock_option.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/timer.h"
#include "guest-kernel/task/wait.h"

struct process process;

void (*fake_other_thread)(void);
unsigned fake_sleeps;
int fake_signal;
u64 fake_now_ns = 1000000000;
size_t fake_pages_total = 100000;
size_t fake_pages_left = 100000;
size_t fake_pages_used;

struct fs_context *current_fs(void)
{
    return &process.fs;
}

/* --- memory --- */

int net_start(void)
{
    return 0;
}

size_t net_list_devices(char *buf, size_t size)
{
    return (size_t)snprintf(buf, size, "devices\n");
}

size_t net_list_addresses6(char *buf, size_t size)
{
    return (size_t)snprintf(buf, size, "addresses\n");
}

size_t net_list_routes(char *buf, size_t size)
{
    return (size_t)snprintf(buf, size, "routes\n");
}

const struct inode_ops vsock_inode_ops;

size_t net_resolv_conf(char *buf, size_t size)
{
    static unsigned asked;

    return (size_t)snprintf(buf, size, "nameserver 10.0.0.%u\n", ++asked);
}

void *kmalloc(size_t size)
{
    return malloc(size);
}

void *kzalloc(size_t size)
{
    return calloc(1, size);
}

void kfree(void *block)
{
    free(block);
}

void *page_alloc(void)
{
    void *page;

    if (fake_pages_left == 0)
        return NULL;
    fake_pages_left--;
    fake_pages_used++;
    page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page)
{
    fake_pages_left++;
    fake_pages_used--;
    free(page);
}

size_t pages_total(void)
{
    return fake_pages_total;
}

size_t pages_free_count(void)
{
    return fake_pages_left;
}

/* The lowest page is nobody's. */
int user_prepare(u64 addr, size_t len, bool write)
{
    (void)write;
    return len && addr < PAGE_SIZE ? -EFAULT : 0;
}

int copy_from_user(void *dst, u64 src, size_t len)
{
    if (user_prepare(src, len, false) != 0)
        return -EFAULT;
    memcpy(dst, user_pointer(src), len);
    return 0;
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
    if (user_prepare(dst, len, true) != 0)
        return -EFAULT;
    memcpy(user_pointer(dst), src, len);
    return 0;
}

long user_string(char *dst, u64 src, size_t size)
{
    size_t len;

    if (user_prepare(src, 1, false) != 0)
        return -EFAULT;
    len = strnlen(user_pointer(src), size);
    if (len == size)
        return -ENAMETOOLONG;
    memcpy(dst, user_pointer(src), len + 1);
    return (long)len;
}

ssize_t proc_maps(char *buf, size_t size, u64 offset)
{
    static const char text[] = "00400000-00401000 r-xp\n";
    size_t left = offset < sizeof(text) - 1 ? sizeof(text) - 1 - offset : 0;

    memcpy(buf, text + offset, MIN(left, size));
    return (ssize_t)MIN(left, size);
}

u64 mm_virtual_bytes(void)
{
    return 8 << 20;
}

u64 mm_resident_bytes(void)
{
    return 1 << 20;
}

/* --- time, sleep, signals --- */

u64 clock_realtime_ns(void)
{
    return fake_now_ns;
}

u64 clock_monotonic_ns(void)
{
    return fake_now_ns;
}

bool clock_can_wait(int id)
{
    return id == 1;
}

u64 clock_deadline(int id, u64 ns, bool absolute)
{
    (void)id;
    return absolute ? ns : fake_now_ns + ns;
}

void timer_set(struct timer *timer, u64 deadline_ns)
{
    timer->deadline = deadline_ns;
    timer->armed = true;
}

void timer_cancel(struct timer *timer)
{
    timer->armed = false;
}

void random_bytes(void *buf, size_t len)
{
    memset(buf, 0x5a, len);
}

void wait_init(struct wait_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
}

unsigned wake_all(struct wait_queue *queue)
{
    (void)queue;
    return 0;
}

unsigned wake_one(struct wait_queue *queue)
{
    return wake_all(queue);
}

int wait_on(struct wait_queue *queue, u64 deadline_ns)
{
    (void)queue;
    fake_sleeps++;
    cr_assert_lt(fake_sleeps, 1000000u, "waits for ever");
    if (fake_other_thread) {
        fake_other_thread();
        return 0;
    }
    if (deadline_ns == WAIT_FOREVER)
        return -EINTR;
    fake_now_ns = MAX(fake_now_ns, deadline_ns);
    return -ETIMEDOUT;
}

int wait_on_uninterrupted(struct wait_queue *queue, u64 deadline_ns)
{
    return wait_on(queue, deadline_ns);
}

void signal_self(int sig)
{
    fake_signal = sig;
}

void signal_mask_begin(sigset mask)
{
    (void)mask;
}

void signal_mask_done(void)
{
}

/* --- the machine --- */

void fake_boot(void)
{
    static _Alignas(4096) const char program[4096] = "program text";
    static const char argv[] = "prog\0one";
    static const char envp[] = "K=V";
    const struct fs_boot boot = {
        .exec_path = "/opt/prog",
        .program = program,
        .program_size = 12,
        .argv = argv,
        .argv_size = sizeof(argv),
        .envp = envp,
        .envp_size = sizeof(envp),
        .pid = 2,
    };

    cr_assert_eq(fs_init(&boot), 0);
    fs_context_init(&process.fs);
}

int open_new(const char *path, const char *text)
{
    int fd = (int)CALL(open, U(path), O_RDWR | O_CREAT | O_TRUNC, 0644);

    cr_assert_geq(fd, 0, "open %s: %d", path, fd);
    if (*text)
        cr_assert_eq(CALL(write, (u64)fd, U(text), strlen(text)), (long)strlen(text));
    return fd;
}

void expect_text(const char *path, const char *text)
{
    char buf[8192] = "";
    int fd = (int)CALL(open, U(path), O_RDONLY);

    cr_assert_geq(fd, 0, "open %s: %d", path, fd);
    cr_assert_geq(CALL(read, (u64)fd, U(buf), sizeof(buf) - 1), 0);
    cr_expect_str_eq(buf, text);
    CALL(close, (u64)fd);
}

bool exists(const char *path)
{
    struct linux_stat st;

    return CALL(lstat, U(path), U(&st)) == 0;
}

struct linux_stat stat_of(const char *path)
{
    struct linux_stat st;

    cr_assert_eq(CALL(lstat, U(path), U(&st)), 0, "stat %s", path);
    return st;
}
