/* Whoever breaks out of the guest lands in an empty room: see escape.c. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/vm/runner.h"

/* What another VM would have, for the asking. */
static const char *another_vms_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = scratch("other.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    unlink(path); /* of another test */
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
    return path;
}

/* A disk, so that there is a thread for it. */
static const char *an_image(void)
{
    static char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s", scratch("disk.img"));
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
    close(fd);
    return path;
}

struct way {
    const char *thread, *name, *socket, *image;
    bool by_filter_alone;
};

static void attempt(const char *mode, const struct way *way, struct outcome *o)
{
    struct job job = {.argv = {program("escape"), mode, way->thread, way->name, program("hello"),
                               way->socket, way->image}};

    job_run(&job, o);
    if (strstr(o->err, "ESCAPED"))
        fail_at(__FILE__, __LINE__, "%s, %s thread, seccomp %s: %s", way->name, way->thread, mode,
                o->err);
}

/* Calls visit for every attempt, in the thread; returns how many there are. */
static unsigned for_each(const char *thread, void (*visit)(const struct way *way))
{
    struct job list = {.argv = {program("escape"), "list"}};
    struct way way = {.thread = thread, .socket = another_vms_socket(), .image = an_image()};
    struct outcome o;
    unsigned count = 0;

    job_run(&list, &o);
    STATUS(&o, 0);
    for (char *line = strtok(o.out, "\n"); line; line = strtok(NULL, "\n"), count++) {
        way.by_filter_alone = line[0] == '*';
        way.name = line + way.by_filter_alone;
        visit(&way);
    }
    return count;
}

static void dies_of_the_filter(const struct way *way)
{
    struct outcome o;

    attempt("kill", way, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "died of signal 31");
    CHECK(!strstr(o.err, "refused"));
    outcome_free(&o);
}

static void the_filters_end_every_attempt(void)
{
    CHECK(for_each("vcpu", dies_of_the_filter) > 10);
    CHECK(for_each("loop", dies_of_the_filter) > 10);
    CHECK(for_each("disk", dies_of_the_filter) > 10);
}

static void is_refused(const struct way *way)
{
    struct outcome o;

    if (way->by_filter_alone)
        return;
    attempt("off", way, &o);
    STATUS(&o, 0);
    ERROR_HAS(&o, "refused: ");
    outcome_free(&o);
}

static void without_filters_the_rest_still_holds(void)
{
    CHECK(for_each("vcpu", is_refused) > 10);
    CHECK(for_each("loop", is_refused) > 10);
    CHECK(for_each("disk", is_refused) > 10);
}

const struct vm_test escape_tests[] = {
    {"escape/the_filters_end_every_attempt", the_filters_end_every_attempt},
    {"escape/without_filters_the_rest_still_holds", without_filters_the_rest_still_holds},
    {NULL, NULL},
};
