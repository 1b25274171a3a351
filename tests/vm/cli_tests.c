/* The command line: what a user types and what comes back before any guest runs. */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/vm/runner.h"

static void run_words(struct outcome *o, const char *a, const char *b, const char *c, const char *d)
{
    struct job job = {.argv = {samara(), a, b, c, d}};

    job_run(&job, o);
}

static void help_names_the_commands(void)
{
    struct outcome o;

    run_words(&o, "--help", NULL, NULL, NULL);
    STATUS(&o, 0);
    CHECK(strstr(o.out, "run") && strstr(o.out, "version"));
    run_words(&o, "run", "--help", NULL, NULL);
    STATUS(&o, 0);
    CHECK(strstr(o.out, "--mem") && strstr(o.out, "--timeout") && strstr(o.out, "--vsock"));
    run_words(&o, "version", NULL, NULL, NULL);
    STATUS(&o, 0);
    CHECK(strncmp(o.out, "samara ", 7) == 0);
}

static void nonsense_is_refused_with_125(void)
{
    static const char *const words[][4] = {
        {NULL},
        {"fly", NULL},
        {"run", NULL},
        {"run", "--wings", "x", NULL},
        {"run", "--mem", "64Q", "x"},
        {"run", "--mem", "-5M", "x"},
        {"run", "--mem", "1K", "x"},
        {"run", "--mem", "99999999999999999999", "x"},
        {"run", "--timeout", "soon", "x"},
        {"run", "--env", "=v", "x"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct outcome o;

        run_words(&o, words[i][0], words[i][1], words[i][2], words[i][3]);
        STATUS(&o, 125);
        ERROR_HAS(&o, "samara: ");
        CHECK(o.out_len == 0);
        outcome_free(&o);
    }
}

static void a_bad_size_names_the_range(void)
{
    struct outcome o;

    run_words(&o, "run", "--mem", "1K", "x");
    ERROR_HAS(&o, "16M");
}

static void write_file(const char *path, const void *data, size_t len, unsigned mode)
{
    char command[600];
    FILE *f = fopen(path, "w");

    CHECK(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
    snprintf(command, sizeof(command), "chmod %o %s", mode, path);
    CHECK(system(command) == 0);
}

static void programs_that_cannot_run_end_in_126_or_127(void)
{
    struct outcome o;
    const char *path = scratch("bad");

    run_words(&o, "run", "/no/such/program", NULL, NULL);
    STATUS(&o, 127);
    ERROR_HAS(&o, "/no/such/program");
    run_words(&o, "run", "no-such-program-in-path", NULL, NULL);
    STATUS(&o, 127);
    ERROR_HAS(&o, "not found in PATH (for a file in this directory: ./no-such-program-in-path)");
    run_words(&o, "run", "", NULL, NULL);
    STATUS(&o, 127);
    run_words(&o, "run", "/tmp", NULL, NULL);
    STATUS(&o, 126);
    write_file(path, "just text\n", 10, 0755);
    run_words(&o, "run", path, NULL, NULL);
    STATUS(&o, 126);
    ERROR_HAS(&o, "ELF");
    write_file(path, "#!/bin/sh\n", 10, 0755);
    run_words(&o, "run", path, NULL, NULL);
    STATUS(&o, 126);
    write_file(path, "\177ELF\2\1\1", 7, 0755);
    run_words(&o, "run", path, NULL, NULL);
    STATUS(&o, 126);
    ERROR_HAS(&o, "truncated");
    write_file(path, "", 0, 0755);
    run_words(&o, "run", path, NULL, NULL);
    STATUS(&o, 126);
}

/* Where a changed byte leaves no program: magic number, class, order of bytes; type and machine;
 * size of a program header. */
static bool must_be_refused(size_t at)
{
    return at <= EI_DATA ||
           (at >= offsetof(Elf64_Ehdr, e_type) && at < offsetof(Elf64_Ehdr, e_version)) ||
           (at >= offsetof(Elf64_Ehdr, e_phentsize) && at < offsetof(Elf64_Ehdr, e_phnum));
}

/* 126 and one line; or it has run, and then the end is the program's: 0, 1 if it could not write, a
 * signal, the timeout. Any other is samara's or the guest kernel's, whom no program can end. */
static bool is_an_ordinary_end(const struct outcome *o)
{
    static const int ends[] = {0, 1, 124, 128 + SIGILL, 128 + SIGBUS, 128 + SIGKILL, 128 + SIGSEGV};

    if (o->status == 126)
        return o->out_len == 0 && strncmp(o->err, "samara: ", 8) == 0 &&
               strchr(o->err, '\n') == o->err + o->err_len - 1;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (o->status == ends[i])
            return true;
    }
    return false;
}

static bool run_corrupted(const char *path, size_t at)
{
    struct job job = {.argv = {samara(), "run", "--timeout", "5s", path}};
    struct outcome o;
    bool refused;

    job_run(&job, &o);
    refused = o.status == 126;
    if (!is_an_ordinary_end(&o) || (must_be_refused(at) && !refused))
        fail_at(__FILE__, __LINE__, "byte %zu changed: %d, %s", at, o.status, o.err);
    outcome_free(&o);
    return refused;
}

/* Each byte of the header, of the program headers every fifth: every byte of a field has its turn.
 */
static void corrupted_programs_are_refused_or_end_by_themselves(void)
{
    static char image[1 << 16];
    const char *path = scratch("corrupt");
    FILE *f = fopen(program("hello-musl"), "r");
    unsigned refused = 0, tried = 0;
    Elf64_Ehdr header;
    size_t len, end;

    CHECK(f);
    len = fread(image, 1, sizeof(image), f);
    CHECK(len > sizeof(header) && len < sizeof(image));
    fclose(f);
    memcpy(&header, image, sizeof(header));
    end = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
    for (size_t at = 0; at < end; at += at < sizeof(header) ? 1 : 5, tried++) {
        image[at] ^= 0x55;
        write_file(path, image, len, 0755);
        refused += run_corrupted(path, at);
        image[at] ^= 0x55;
    }
    CHECK(refused > tried / 4 && refused < tried * 3 / 4);
}

static void a_trace_that_cannot_be_written_is_refused_first(void)
{
    struct job job = {
        .argv = {samara(), "run", "--trace", "/no/such/place", "/bin/busybox", "echo", "has run"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "trace: open /no/such/place: No such file or directory");
    OUTPUT(&o, "");
}

static void a_trace_on_a_full_disk_costs_no_status(void)
{
    struct job job = {
        .argv = {samara(), "run", "--trace", "/dev/full", "/bin/busybox", "sh", "-c", "exit 3"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 3);
    ERROR_HAS(&o, "trace: /dev/full: write: No space left on device");
}

static void a_trace_is_json_with_host_and_guest_events(void)
{
    static char text[1 << 16];
    const char *path = scratch("trace.json");
    struct job job = {.argv = {samara(), "run", "--trace", path, program("hello")}};
    struct outcome o;
    FILE *f;

    job_run(&job, &o);
    STATUS(&o, 0);
    f = fopen(path, "r");
    CHECK(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    CHECK(text[0] == '{' || text[0] == '[');
    CHECK(strstr(text, "traceEvents") && strstr(text, "\"ts\"") && strstr(text, "\"ph\""));
    CHECK(strstr(text, "kernel entered") && strstr(text, "load program") &&
          strstr(text, "program runs"));
}

static void the_last_of_several_variables_counts(void)
{
    struct job job = {.argv = {samara(), "run", "--env", "A=1", "--env", "B=2", "--env", "A=3",
                               "/bin/busybox", "sh", "-c", "echo $A $B"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "3 2\n");
}

/* It would wait for a reader while the signals that are to end it wait, too. */
static void a_fifo_that_nobody_reads_is_no_place_for_a_trace(void)
{
    const char *path = scratch("fifo");
    struct job job = {.argv = {samara(), "run", "--trace", path, program("hello")}};
    struct outcome o;

    CHECK(mkfifo(path, 0600) == 0);
    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "nobody reads it");
    unlink(path);
}

static void an_inherited_descriptor_may_be_named(void)
{
    struct job job = {.argv = {samara(), "run", "/dev/fd/99", "sh", "-c", "echo has run"}};
    struct outcome o;
    int fd = open("/bin/busybox", O_RDONLY);

    CHECK(dup2(fd, 99) == 99);
    job_run(&job, &o);
    close(99);
    close(fd);
    CHECK(o.status == 0 || o.status == 127); /* by its name, which is 99, busybox is nothing */
    ERROR_HAS(&o, "99: applet not found");
}

const struct vm_test cli_tests[] = {
    {"cli/help_names_the_commands", help_names_the_commands},
    {"cli/nonsense_is_refused_with_125", nonsense_is_refused_with_125},
    {"cli/a_bad_size_names_the_range", a_bad_size_names_the_range},
    {"cli/programs_that_cannot_run_end_in_126_or_127", programs_that_cannot_run_end_in_126_or_127},
    {"cli/corrupted_programs_are_refused_or_end_by_themselves",
     corrupted_programs_are_refused_or_end_by_themselves},
    {"cli/a_trace_is_json_with_host_and_guest_events", a_trace_is_json_with_host_and_guest_events},
    {"cli/a_trace_that_cannot_be_written_is_refused_first",
     a_trace_that_cannot_be_written_is_refused_first},
    {"cli/a_trace_on_a_full_disk_costs_no_status", a_trace_on_a_full_disk_costs_no_status},
    {"cli/the_last_of_several_variables_counts", the_last_of_several_variables_counts},
    {"cli/a_fifo_that_nobody_reads_is_no_place_for_a_trace",
     a_fifo_that_nobody_reads_is_no_place_for_a_trace},
    {"cli/an_inherited_descriptor_may_be_named", an_inherited_descriptor_may_be_named},
    {NULL, NULL},
};
