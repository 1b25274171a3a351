/* What samara says when it or the guest cannot go on. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/vm/broken_kernel.h"
#include "tests/vm/runner.h"

static void fork_is_refused_in_one_sentence(void)
{
    struct job job = {.argv = {samara(), "run", "/bin/busybox", "sh", "-c", "echo a; ls | cat"}};
    struct outcome o;
    char *first;

    job_run(&job, &o);
    ERROR_HAS(&o, "needs fork");
    first = strstr(o.err, "needs fork");
    CHECK(!strstr(first + 1, "needs fork"));
}

static void missing_calls_are_named_once_when_asked(void)
{
    struct job quiet = {.argv = {samara(), "run", program("missing_call")}};
    struct job verbose = {.argv = {samara(), "run", "--verbose", program("missing_call")}};
    struct outcome o;
    char *first;

    job_run(&quiet, &o);
    STATUS(&o, 0);
    CHECK(!strstr(o.err, "ENOSYS"));
    job_run(&verbose, &o);
    STATUS(&o, 0);
    ERROR_HAS(&o, "io_uring_setup");
    first = strstr(o.err, "io_uring_setup");
    CHECK(!strstr(first + 1, "io_uring_setup"));
}

static void a_dynamic_program_is_told_to_be_static(void)
{
    struct job job = {.argv = {samara(), "run", program("dynamic")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 126);
    ERROR_HAS(&o, "static");
}

static void a_program_larger_than_memory_is_refused(void)
{
    char command[400];
    const char *path = scratch("large");
    struct job job = {.argv = {samara(), "run", "--mem", "16M", path}};
    struct outcome o;

    snprintf(command, sizeof(command), "cp %s %s && truncate -s 64M %s", program("hello"), path,
             path);
    CHECK(system(command) == 0);
    job_run(&job, &o);
    STATUS(&o, 126);
    ERROR_HAS(&o, "memory");
}

/* hello with a terabyte behind the bytes of its last segment. */
static void a_program_that_wants_more_than_memory_is_refused(void)
{
    static char image[1 << 20];
    const char *path = scratch("vast");
    struct job job = {.argv = {samara(), "run", path}};
    FILE *from = fopen(program("hello-musl"), "r"), *to = fopen(path, "w");
    Elf64_Ehdr header;
    Elf64_Phdr *last = NULL;
    struct outcome o;
    size_t len;

    CHECK(from && to);
    len = fread(image, 1, sizeof(image), from);
    memcpy(&header, image, sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr *p = (Elf64_Phdr *)(void *)(image + header.e_phoff) + i;

        last = p->p_type == PT_LOAD ? p : last;
    }
    CHECK(last);
    last->p_memsz = 1ull << 40;
    CHECK(fwrite(image, 1, len, to) == len && fclose(to) == 0 && chmod(path, 0755) == 0);
    fclose(from);
    job_run(&job, &o);
    STATUS(&o, 126);
    ERROR_HAS(&o, "too big for a memory of 128 MiB");
}

static void out_of_memory_kills_the_program_and_says_so(void)
{
    struct job job = {.argv = {samara(), "run", "--mem", "32M", program("eat_memory")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 137);
    ERROR_HAS(&o, "memory");
}

static void output_goes_on_without_memory(void)
{
    struct job job = {.argv = {samara(), "run", "--mem", "64M", program("many_threads")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.out_len == 64 << 16);
    ERROR_HAS(&o, "no more threads\n");
}

static void full_files_leave_memory_to_the_program(void)
{
    struct job job = {.argv = {samara(), "run", "--mem", "64M", program("fill_files")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "No space left on device after what statfs said\n"
               "room 0, reserving more: No space left on device\nthere is memory\ngiven back\n");
}

static void run_kernel(const char *kernel, struct outcome *o)
{
    struct job job = {
        .argv = {samara(), "run", "--kernel", program(kernel), "/bin/busybox", "true"}};

    job_run(&job, o);
}

static void a_guest_panic_is_reported_with_125(void)
{
    struct outcome o;

    run_kernel("kernel-panic.elf", &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: guest kernel: ");
    CHECK(!memchr(o.err, '\033', o.err_len));
}

/* Registers, the function, and on which side it was. */
static void a_fault_of_the_guest_kernel_is_reported_with_its_place(void)
{
    struct job job = {
        .argv = {samara(), "run", "--kernel", broken_kernel("process_exit"), program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: guest kernel: invalid instruction in the kernel (vector 6)\n");
    ERROR_HAS(&o, " process_exit+0x0 in the kernel\n");
    ERROR_HAS(&o, "samara: guest kernel: rsp 00007f80");
    ERROR_HAS(&o, "samara: guest kernel: r14 ");
    ERROR_HAS(&o, "samara: guest kernel:   from sys_exit_group+0x");
}

static void a_triple_fault_is_reported_with_125(void)
{
    struct outcome o;

    run_kernel("kernel-triple-fault.elf", &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: ");
}

static void a_text_file_is_no_kernel(void)
{
    struct job job = {.argv = {samara(), "run", "--kernel", "/etc/passwd", "/bin/busybox", "true"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "/etc/passwd");
}

const struct vm_test failure_tests[] = {
    {"failure/fork_is_refused_in_one_sentence", fork_is_refused_in_one_sentence},
    {"failure/missing_calls_are_named_once_when_asked", missing_calls_are_named_once_when_asked},
    {"failure/a_dynamic_program_is_told_to_be_static", a_dynamic_program_is_told_to_be_static},
    {"failure/a_program_larger_than_memory_is_refused", a_program_larger_than_memory_is_refused},
    {"failure/a_program_that_wants_more_than_memory_is_refused",
     a_program_that_wants_more_than_memory_is_refused},
    {"failure/out_of_memory_kills_the_program_and_says_so",
     out_of_memory_kills_the_program_and_says_so},
    {"failure/output_goes_on_without_memory", output_goes_on_without_memory},
    {"failure/full_files_leave_memory_to_the_program", full_files_leave_memory_to_the_program},
    {"failure/a_guest_panic_is_reported_with_125", a_guest_panic_is_reported_with_125},
    {"failure/a_fault_of_the_guest_kernel_is_reported_with_its_place",
     a_fault_of_the_guest_kernel_is_reported_with_its_place},
    {"failure/a_triple_fault_is_reported_with_125", a_triple_fault_is_reported_with_125},
    {"failure/a_text_file_is_no_kernel", a_text_file_is_no_kernel},
    {NULL, NULL},
};
