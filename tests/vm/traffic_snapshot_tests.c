/* A guest that moves to another interface with what it has open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vm/lan.h"
#include "tests/vm/runner.h"

static void is_well(const struct running *r)
{
    char line[200];
    size_t at = 0;

    CHECK(write(r->in, "\n", 1) == 1);
    do {
        CHECK(at < sizeof(line) - 1 && lan_readable(r->out, 60000));
        CHECK(read(r->out, line + at, 1) == 1);
    } while (line[at++] != '\n');
    line[at] = '\0';
    if (strcmp(line, "there and back\n") != 0)
        fail_at(__FILE__, __LINE__, "the guest says: %s", line);
}

static void ends_well(struct running *r)
{
    struct outcome o;

    close(r->in);
    r->in = -1;
    job_finish(r, &o);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

/* Three times, each from the last one's snapshot, upon the same tap. */
static void a_guest_goes_on_where_its_interface_is(void)
{
    int listener;
    struct running r, next;
    struct job run = {.argv = {samara(), "run", "--name", "net-0", "--net", LAN_FIXED,
                               program("traffic-musl"), "again", LAN_HOST4, "5000"},
                      .keep_input_open = true};

    CHECK(mkdir(scratch("run"), 0700) == 0 || errno == EEXIST);
    setenv("XDG_RUNTIME_DIR", scratch("run"), 1);
    lan_make();
    listener = lan_bound(SOCK_STREAM, LAN_HOST4, 5000);
    beside(lan_echo_all, &listener);
    job_start(&run, &r);
    is_well(&r);
    for (int i = 0; i < 3; i++) {
        char from[16], to[16], path[200];
        struct job take = {.argv = {samara(), "snapshot", "--stop", from, path}};
        struct job grow = {.argv = {samara(), "restore", "--name", to, "--net", "tap=tap7", path},
                           .keep_input_open = true};
        struct outcome o;

        snprintf(from, sizeof(from), "net-%d", i);
        snprintf(to, sizeof(to), "net-%d", i + 1);
        snprintf(path, sizeof(path), "%s", scratch(to));
        job_run(&take, &o);
        STATUS(&o, 0);
        outcome_free(&o);
        job_finish(&r, &o);
        STATUS(&o, 128 + 9);
        outcome_free(&o);
        job_start(&grow, &next);
        is_well(&next);
        r = next;
    }
    ends_well(&r);
}

const struct vm_test traffic_snapshot_tests[] = {
    {"traffic_snapshot/a_guest_goes_on_where_its_interface_is",
     a_guest_goes_on_where_its_interface_is},
    {NULL, NULL},
};
