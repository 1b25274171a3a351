/* See snapshot_commands.h. */
#include "monitor/snapshot/snapshot_commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/virtio.h"
#include "monitor/snapshot/facts.h"
#include "monitor/snapshot/manifest.h"
#include "monitor/snapshot/snapshot_dir.h"
#include "monitor/snapshot/verify.h"
#include "monitor/snapshot/working_set.h"
#include "monitor/units.h"

enum { NO_GOOD = 1 };

/* --- words --- */

struct words {
    const char *path;
    bool json, help;
};

/* json: whether there is such an option. */
static int parse(struct words *words, int argc, char **argv, const char *command, bool json,
                 struct err *err)
{
    *words = (struct words){0};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            words->help = true;
        else if (json && strcmp(argv[i], "--json") == 0)
            words->json = true;
        else if (argv[i][0] == '-')
            return err_set(err, "unknown option %.64s (see `samara %s --help`)", argv[i], command);
        else if (words->path)
            return err_set(err, "%.64s: one snapshot at a time", argv[i]);
        else
            words->path = argv[i];
    }
    return words->path || words->help
               ? 0
               : err_set(err, "which snapshot? (see `samara %s --help`)", command);
}

/* Too large for a stack, and one command runs. */
static struct snapshot_dir dir = SNAPSHOT_DIR_CLOSED;
static struct snapshot_facts facts;

static int open_snapshot(const char *path, struct err *err)
{
    if (snapshot_dir_open(&dir, path, err) != 0)
        return -1;
    snapshot_facts(&facts, &dir.state, dir.bytes, dir.size);
    return 0;
}

/* --- inspect --- */

/* Strangers' text: nothing of it may drive the terminal, or make lines. */
static void print_text(const char *label, const char *text)
{
    static char line[PRINTABLE_ROOM(sizeof(facts.program))];

    printable_copy(line, sizeof(line), text, strlen(text));
    for (char *at = line; *at; at++) {
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    }
    printf("%s%s", label, line);
}

static void print_origin(void)
{
    printf("id         %s\n", facts.id);
    if (facts.diff)
        printf("diff of    %s\n", facts.parent);
    else if (facts.parent[0])
        printf("parent     %s (not needed: this is no diff)\n", facts.parent);
    if (facts.single_use)
        puts("use        once: a second restore is refused");
    printf("created    %s", facts.created);
    print_text(" by samara ", facts.samara);
    print_text(" on Linux ", facts.kernel);
    print_text("\nprogram    ", facts.program);
    print_text("\ncpu        ", facts.cpu_vendor[0] ? facts.cpu_vendor : "unknown");
    if (facts.has_cpu_model)
        printf(", family %u, model %u, stepping %u", facts.cpu_family, facts.cpu_model,
               facts.cpu_stepping);
    puts("");
}

static void print_memory(void)
{
    char all[32], data[32], zeroed[32];

    print_size(all, facts.memory);
    print_size(data, facts.data);
    print_size(zeroed, facts.zeroed);
    printf("memory     %s, of which %s are data", all, data);
    if (facts.diff)
        printf(", %s became zero", zeroed);
    printf(" (%zu extent%s)\n", facts.extents, facts.extents == 1 ? "" : "s");
}

static void print_devices(void)
{
    for (unsigned i = 0; i < facts.devices; i++) {
        const struct snapshot_device *device = &facts.device[i];

        printf("device %-2u  %s (%u), %u queue%s, features %#llx", device->slot,
               device->name ? device->name : "of a kind unknown", device->id, device->queues,
               device->queues == 1 ? "" : "s", (unsigned long long)device->features);
        if (device->id == VIRTIO_ID_VSOCK && facts.connections > 0)
            printf(", %zu connection%s", facts.connections, facts.connections == 1 ? "" : "s");
        puts("");
    }
}

static void print_disks(void)
{
    for (unsigned i = 0; i < facts.disks; i++) {
        char all[32], data[32];

        print_size(all, facts.disk[i].base.size);
        print_size(data, facts.disk[i].blocks * OVERLAY_BLOCK);
        printf("disk %-4u  %s, of which %s were written\n", facts.disk[i].number, all, data);
    }
}

static void print_state(void)
{
    char size[32];

    print_size(size, facts.state_size);
    printf("state      format %d, %s, %u records\n", SNAPSHOT_VERSION, size, facts.records);
}

/* -1 with err: it has one, and that is bad. */
static int read_working_set(struct working_set *set, struct err *err)
{
    struct err ignored;
    int fd = snapshot_dir_file(dir.dir, "working-set", &ignored), result;

    working_set_clear(set);
    if (fd < 0)
        return 0;
    result = working_set_read(set, fd, &dir.state.header, err);
    close(fd);
    return result;
}

static void print_working_set(void)
{
    static struct working_set set;
    char written[32], read[32];
    uint64_t pages[3] = {0};
    struct err err;

    if (read_working_set(&set, &err) != 0)
        print_text("first used ", err.text);
    for (uint32_t i = 0; i < set.head.count; i++)
        pages[set.extents[i].kind] += set.extents[i].pages;
    if (set.head.count == 0)
        return;
    print_size(written, pages[WORKING_WRITTEN] * 4096);
    print_size(read, pages[WORKING_READ] * 4096);
    printf("first used %s written, %s read (%u extents)\n", written, read, set.head.count);
}

static void inspect_help(void)
{
    puts("usage: samara inspect SNAPSHOT [--json]\n\n"
         "Says what a snapshot is, once its state has been checked (memory: `samara verify`).\n\n"
         "  --json     as manifest.json has it, but made of the state anew");
}

int inspect_command(int argc, char **argv, struct report *report)
{
    static char text[MANIFEST_MOST];
    struct words words;
    size_t length;

    if (parse(&words, argc, argv, "inspect", true, &report->err) != 0)
        return EXIT_SAMARA;
    if (words.help) {
        inspect_help();
        return 0;
    }
    if (open_snapshot(words.path, &report->err) != 0)
        return NO_GOOD;
    if (words.json) {
        manifest_make(text, &length, &facts);
        fwrite(text, length, 1, stdout);
    } else {
        print_origin();
        print_memory();
        print_devices();
        print_disks();
        print_state();
        print_working_set();
    }
    snapshot_dir_close(&dir);
    return 0;
}

/* --- verify --- */

static void verify_help(void)
{
    puts(
        "usage: samara verify SNAPSHOT\n\n"
        "Reads all of a snapshot: its state and manifest.json, memory and disks by their digests,\n"
        "that nothing but zeroes lies elsewhere, and the working set, if one was recorded. Of a\n"
        "diff, its own layer: not its parent's.\n"
        "Exit status: 0 if all is as it was written, 1 if not, with a line that says where.");
}

static void print_good(const char *path)
{
    char all[32], data[32];

    print_size(all, facts.memory);
    print_size(data, facts.data);
    printf("%s: good: %s of memory, %s of data, %llu digest%s, %u records\n", path, all, data,
           (unsigned long long)facts.digests.count, facts.digests.count == 1 ? "" : "s",
           facts.records);
}

int verify_command(int argc, char **argv, struct report *report)
{
    static struct working_set set;
    struct words words;
    int result;

    if (parse(&words, argc, argv, "verify", false, &report->err) != 0)
        return EXIT_SAMARA;
    if (words.help) {
        verify_help();
        return 0;
    }
    if (open_snapshot(words.path, &report->err) != 0)
        return NO_GOOD;
    result = snapshot_verify(&dir, &facts, &report->err);
    if (result == 0)
        result = read_working_set(&set, &report->err);
    if (result == 0)
        print_good(words.path);
    else
        err_in(&report->err, "%s", words.path);
    snapshot_dir_close(&dir);
    return result == 0 ? 0 : NO_GOOD;
}
