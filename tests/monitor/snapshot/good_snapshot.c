/* See good_snapshot.h. */
#include "tests/monitor/snapshot/good_snapshot.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/snapshot_writer.h"

enum { PAGE = 4096 };

char snapshot_folder[] = "/tmp/samara-snapshot.XXXXXX";
char snapshot_path[64];

void snapshot_folder_make(void)
{
    cr_assert(mkdtemp(snapshot_folder));
    snprintf(snapshot_path, sizeof(snapshot_path), "%s/snap", snapshot_folder);
}

void snapshot_folder_remove(void)
{
    char command[100];

    snprintf(command, sizeof(command), "rm -rf %s", snapshot_folder);
    cr_assert_eq(system(command), 0);
}

static int put_record(void *to, uint32_t kind, const void *payload, size_t size)
{
    return snapshot_writer_record(to, kind, 1, payload, size, NULL);
}

static void put_disk(struct snapshot_writer *w)
{
    const struct overlay_base base = {.size = GOOD_DISK, .changed_ns = 1764081575123456789};
    static char blocks[2 * PAGE];
    struct err err = {0};

    cr_assert_eq(snapshot_writer_disk(w, 0, &base, &err), 0, "%s", err.text);
    memset(blocks, 'c', sizeof(blocks));
    cr_assert_eq(snapshot_writer_blocks(w, 0, PAGE, blocks, sizeof(blocks), &err), 0);
    cr_assert_eq(snapshot_writer_blocks(w, 0, 9ul * PAGE, blocks, PAGE, &err), 0);
    memset(blocks, 0, sizeof(blocks));
    cr_assert_eq(snapshot_writer_blocks(w, 0, 9ul * PAGE, blocks, PAGE, &err), 0);
    memset(blocks, 'd', PAGE - 512);
    cr_assert_eq(snapshot_writer_blocks(w, 0, 19ul * PAGE, blocks, PAGE, &err), 0);
}

static void write_snapshot(const struct snapshot_header *header, bool with_disk)
{
    static struct snapshot_writer w;
    static char pages[4 * PAGE];
    struct err err = {0};

    memset(pages, 'a', (size_t)2 * PAGE);
    memset(pages + (size_t)3 * PAGE, 'b', PAGE);
    cr_assert_eq(snapshot_writer_open(&w, snapshot_path, header, &err), 0, "%s", err.text);
    cr_assert_eq(good_records(put_record, &w), 0);
    if (header->flags & SNAPSHOT_DIFF)
        cr_assert_eq(put_record(&w, RECORD_PARENT, GOOD_PARENT, sizeof(GOOD_PARENT) - 1), 0);
    cr_assert_eq(snapshot_writer_pages(&w, PAGE, pages, sizeof(pages), &err), 0, "%s", err.text);
    if (with_disk)
        put_disk(&w);
    cr_assert_eq(snapshot_writer_commit(&w, false, &err), 0, "%s", err.text);
    snapshot_writer_abort(&w);
}

void good_snapshot(const struct snapshot_header *header)
{
    write_snapshot(header, false);
}

void good_snapshot_with_disk(const struct snapshot_header *header)
{
    write_snapshot(header, true);
}

void in_snapshot(const char *format, ...)
{
    char command[400], line[300];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    snprintf(command, sizeof(command), "cd %s && %s", snapshot_path, line);
    cr_assert_eq(system(command), 0, "%s", command);
}
