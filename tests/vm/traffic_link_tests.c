/* Links that come and go, limits, and passt: what is between a guest's interface and its peer. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/vm/lan.h"
#include "tests/vm/lan_servers.h"
#include "tests/vm/runner.h"

static void echo_datagrams(void *arg)
{
    lan_echo_datagrams(*(int *)arg);
}

static void run(const char *const argv[])
{
    beside_ends(beside_run(argv));
}

/* Our resolv.conf, in a mount namespace of our own: passt hands on what is there. */
/* --- a guest that is asked, by a line, how its link is --- */

struct asked {
    struct running r;
};

static void start_asking(struct asked *a, const char *net, const char *address)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, program("traffic-musl"), "again", address, "5000"},
        .keep_input_open = true};

    job_start(&job, &a->r);
}

/* Its line, without the end. */
static const char *ask(struct asked *a)
{
    static char line[200];
    size_t at = 0;

    CHECK(write(a->r.in, "\n", 1) == 1);
    do {
        CHECK(at < sizeof(line) && lan_readable(a->r.out, 60000));
        CHECK(read(a->r.out, line + at, 1) == 1);
    } while (line[at++] != '\n');
    line[at - 1] = '\0';
    return line;
}

static void is_well(struct asked *a)
{
    const char *said = ask(a);

    if (strcmp(said, "there and back") != 0)
        fail_at(__FILE__, __LINE__, "the guest says: %s", said);
}

static void becomes(struct asked *a, const char *state)
{
    for (int i = 0; i < 1000 && strcmp(ask(a), state) != 0; i++)
        usleep(10000);
    CHECK(strcmp(ask(a), state) == 0);
}

static void stop_asking(struct asked *a, struct outcome *o)
{
    close(a->r.in);
    a->r.in = -1;
    job_finish(&a->r, o);
    STATUS(o, 0);
}

/* --- a tap that the host takes down --- */

/* What the guest sends meanwhile is lost, which one line tells; TCP sends it again. */
static void a_tap_goes_down_and_up(void)
{
    struct asked a;
    struct outcome o;
    int listener;

    lan_make();
    listener = lan_bound(SOCK_STREAM, LAN_HOST4, 5000);
    beside(lan_echo_all, &listener);
    start_asking(&a, LAN_FIXED, LAN_HOST4);
    is_well(&a);
    lan_link("tap7", 0);
    CHECK(write(a.r.in, "\n", 1) == 1); /* says nothing until the way is there again */
    CHECK(!lan_readable(a.r.out, 300));
    lan_link("tap7", 1);
    CHECK(job_await(&a.r, "there and back\n"));
    is_well(&a);
    stop_asking(&a, &o);
    ERROR_HAS(&o, "samara: net 0: a frame is lost: ");
    outcome_free(&o);
}

/* Made again under the same name it is another: samara has none of the rights that it takes. */
static void a_tap_that_is_deleted_takes_the_link_with_it(void)
{
    static const char line[] = "samara: net 0: the link is down: ";
    const char *said;
    struct asked a;
    struct outcome o;
    int listener;

    lan_make();
    listener = lan_bound(SOCK_STREAM, LAN_HOST4, 5000);
    beside(lan_echo_all, &listener);
    start_asking(&a, LAN_FIXED, LAN_HOST4);
    is_well(&a);
    run((const char *const[]){"/bin/busybox", "ip", "link", "del", "tap7", NULL});
    becomes(&a, "down");
    lan_tap("tap7");
    lan_address("tap7", LAN_HOST4, 24);
    lan_link("tap7", 1);
    CHECK(strcmp(ask(&a), "down") == 0);
    stop_asking(&a, &o);
    said = strstr(o.err, line);
    CHECK(said && !strstr(said + 1, line));
    outcome_free(&o);
}

/* --- limits --- */

enum { RATE = 2 << 20, BURST_MS = 100, POURED = 3 << 20, PACKET_MOST = 65536 + 64 };

static uint64_t now_ms(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* However slow the machine is, no more may have come at any time than the limit lets through. One
 * more frame, because it may begin before the time is up. */
static void within_the_limit(uint64_t bytes, uint64_t since_ms)
{
    const uint64_t most = (now_ms() - since_ms + 1 + BURST_MS) * RATE / 1000 + PACKET_MOST;

    if (bytes > most)
        fail_at(__FILE__, __LINE__, "%llu bytes came, %llu may", (unsigned long long)bytes,
                (unsigned long long)most);
}

static void count_what_comes(int fd, uint64_t since_ms)
{
    static char buf[1 << 16];
    uint64_t all = 0;
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
        all += (uint64_t)n;
        within_the_limit(all, since_ms);
    }
    CHECK(n == 0 && all == POURED);
}

static void what_a_guest_sends_is_limited(void)
{
    struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED ",rate=2M", program("traffic"),
                               "pour", LAN_HOST4, "5000", "3145728"}};
    struct running r;
    struct outcome o;
    uint64_t start;
    int listener;

    lan_make();
    listener = lan_bound(SOCK_STREAM, LAN_HOST4, 5000);
    start = now_ms();
    job_start(&job, &r);
    count_what_comes(lan_accept(listener), start);
    job_finish(&r, &o);
    STATUS(&o, 0);
    outcome_free(&o);
}

static void pour(void *arg)
{
    const int fd = *(int *)arg;
    unsigned char *data = lan_data(POURED, 7);

    lan_send(fd, data, POURED);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    free(data);
}

/* What is echoed has been in the guest: no more than may have gone in. */
static void what_a_guest_gets_is_limited(void)
{
    struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED ",rate=2M", program("traffic"),
                               "echo", "5000"}};
    struct running r;
    struct outcome o;
    uint64_t start;
    pid_t sender;
    int fd;

    lan_make();
    start = now_ms();
    job_start(&job, &r);
    fd = lan_connect(SOCK_STREAM, LAN_GUEST4, 5000);
    sender = beside(pour, &fd);
    count_what_comes(fd, start);
    beside_ends(sender);
    close(fd);
    job_finish(&r, &o);
    STATUS(&o, 0);
    outcome_free(&o);
}

/* --- a stream's peer --- */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(fd, 1) == 0);
    return fd;
}

/* What the guest sends beyond the limit is used later, of which no interrupt tells it. The one that
 * tells of the link then finds that, and is of the link nevertheless. */
static void a_link_is_down_for_who_has_just_sent(void)
{
    enum { FRAMES = 3 };
    static char frames[1 << 12], net[300];
    const char *path = scratch("peer.sock");
    struct job job = {
        .argv = {samara(), "run", "--net", net, program("traffic-musl"), "link", "eth0"},
        .keep_input_open = true};
    struct asked a;
    struct outcome o;
    int listener = listen_at(path), peer;

    snprintf(net, sizeof(net), "passt=%s,iops=5,burst=200ms,ip=%s/24,ip=%s/64,gw=%s", path,
             LAN_GUEST4, LAN_GUEST6, LAN_HOST4);
    job_start(&job, &a.r);
    peer = lan_accept(listener);
    CHECK(strcmp(ask(&a), "up") == 0);
    for (int i = 0; i < FRAMES; i++) /* its first ones are more than the limit lets through */
        CHECK(lan_readable(peer, 60000) && read(peer, frames, sizeof(frames)) > 0);
    close(listener);
    CHECK(unlink(path) == 0);
    close(peer);
    becomes(&a, "down");
    listener = listen_at(path);
    peer = lan_accept(listener);
    becomes(&a, "up");
    stop_asking(&a, &o);
    ERROR_HAS(&o, "samara: net 0: the link is down: ");
    outcome_free(&o);
    close(peer);
    close(listener);
}

/* --- passt --- */

static bool passt_is_missing(void)
{
    if (access("/usr/bin/passt", X_OK) == 0)
        return false;
    fprintf(stderr, "    !!! no /usr/bin/passt: not tested\n");
    return true;
}

static void set_resolv_conf(void)
{
    const char *path = scratch("resolv.conf");
    FILE *f = fopen(path, "w");

    CHECK(f && fputs("nameserver " LAN_HOST4 "\n", f) >= 0 && fclose(f) == 0);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0);
}

/* The host has a link and a way into the world, which passt wants, and the servers' addresses. */
static void make_world(void)
{
#define IP(...) run((const char *const[]){"/bin/busybox", "ip", __VA_ARGS__, NULL})
    lan_unshare();
    set_resolv_conf();
    lan_tap("out0");
    lan_sysctl("ipv6/conf/out0/accept_dad", "0");
    lan_link("out0", 1);
    lan_address("out0", "10.88.0.1", 24);
    lan_address("out0", "fd88::1", 64);
    IP("route", "add", "default", "via", "10.88.0.254");
    IP("-6", "route", "add", "default", "via", "fd88::254", "dev", "out0");
    lan_address("lo", LAN_HOST4, 32);
    lan_address("lo", LAN_HOST6, 128);
#undef IP
}

static void echo_in_the_world(void)
{
    static const char *const places[] = {LAN_HOST4, LAN_HOST6};

    for (unsigned i = 0; i < 2; i++) {
        int listener = lan_bound(SOCK_STREAM, places[i], 5000);
        int datagrams = lan_bound(SOCK_DGRAM, places[i], 5000);

        beside(lan_echo_all, &listener);
        beside(echo_datagrams, &datagrams);
        close(listener);
        close(datagrams);
    }
}

static void guest_says(const char *net, const char *const words[], const char *text)
{
    struct job job = {.argv = {samara(), "run", "--net", net, program("traffic")}};
    struct outcome o;

    for (unsigned i = 0; words[i]; i++)
        job.argv[5 + i] = words[i];
    job_run(&job, &o);
    CHECK(o.err_len == 0);
    OUTPUT(&o, text);
    outcome_free(&o);
}
#define SAYS(net, text, ...) guest_says(net, (const char *const[]){__VA_ARGS__, NULL}, text)

static void goes_there_and_back(const char *net, const char *address)
{
    struct asked a;
    struct outcome o;

    start_asking(&a, net, address);
    is_well(&a);
    stop_asking(&a, &o);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

static void finds_the_name(const char *net)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, "/bin/busybox", "nslookup", LAN_NAME}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(strstr(o.out, "Address: " LAN_HOST4 "\n") && strstr(o.out, "Address: " LAN_HOST6 "\n"));
    outcome_free(&o);
}

static void through_passt(void)
{
    if (passt_is_missing())
        return;
    make_world();
    echo_in_the_world();
    lan_name_server();
    goes_there_and_back("passt", LAN_HOST4);
    goes_there_and_back("passt", LAN_HOST6);
    finds_the_name("passt");
    /* No fragments: passt knows none. */
    SAYS("passt", "100 back\n", "datagrams", LAN_HOST4, "5000", "100", "1400");
    SAYS("passt", "100 back\n", "datagrams", LAN_HOST6, "5000", "100", "1400");
    SAYS("passt", "connect: Connection refused\n", "ask", LAN_HOST4, "5001");
    SAYS("passt", "connect: Connection refused\n", "ask", LAN_HOST6, "5001");
}

/* Its pid, of which samara is the parent. */
static pid_t passt_of(pid_t keeper)
{
    char path[64], name[64];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", keeper, keeper);
    f = fopen(path, "r");
    CHECK(f);
    while (fscanf(f, "%d", &pid) == 1) {
        FILE *comm;

        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        comm = fopen(path, "r");
        if (comm && fgets(name, sizeof(name), comm) && strncmp(name, "passt", 5) == 0) {
            fclose(comm);
            fclose(f);
            return pid;
        }
    }
    fail_at(__FILE__, __LINE__, "samara has no passt");
}

static void passt_dies_and_is_started_again(void)
{
    struct asked a;
    struct outcome o;
    pid_t first;

    if (passt_is_missing())
        return;
    make_world();
    echo_in_the_world();
    start_asking(&a, "passt", LAN_HOST4);
    is_well(&a);
    first = passt_of(a.r.pid);
    CHECK(kill(first, SIGKILL) == 0);
    while (kill(first, 0) == 0) /* the keeper has noticed */
        usleep(1000);
    becomes(&a, "there and back");
    CHECK(passt_of(a.r.pid) != first);
    stop_asking(&a, &o);
    ERROR_HAS(&o, "samara: net 0: the link is down: ");
    outcome_free(&o);
}

/* It becomes nobody, who has to be able to make its socket. */
static pid_t start_passt_at(const char *socket)
{
    const char *const argv[] = {"/usr/bin/passt",
                                "--foreground",
                                "--quiet",
                                "--no-map-gw",
                                "--tcp-ports",
                                "none",
                                "--udp-ports",
                                "none",
                                "--runas",
                                "nobody",
                                "-s",
                                socket,
                                NULL};
    pid_t pid = beside_run(argv);

    while (access(socket, F_OK) != 0)
        usleep(5000);
    return pid;
}

static void stop_passt(pid_t pid, const char *socket)
{
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    CHECK(unlink(socket) == 0);
}

static void passts_socket_comes_and_goes(void)
{
    const char *folder = scratch("passt");
    char socket[200], net[220];
    struct asked a;
    struct outcome o;
    pid_t passt;

    if (passt_is_missing())
        return;
    CHECK(mkdir(folder, 0755) == 0 && chmod(folder, 0777) == 0);
    CHECK(chmod(scratch(""), 0711) == 0);
    snprintf(socket, sizeof(socket), "%s/socket", folder);
    snprintf(net, sizeof(net), "passt=%s", socket);
    make_world();
    echo_in_the_world();
    passt = start_passt_at(socket);
    start_asking(&a, net, LAN_HOST4);
    is_well(&a);
    stop_passt(passt, socket);
    becomes(&a, "down");
    passt = start_passt_at(socket);
    becomes(&a, "there and back");
    is_well(&a);
    stop_asking(&a, &o);
    ERROR_HAS(&o, "samara: net 0: the link is down: ");
    stop_passt(passt, socket);
    outcome_free(&o);
}

const struct vm_test traffic_link_tests[] = {
    {"traffic_link/a_tap_goes_down_and_up", a_tap_goes_down_and_up},
    {"traffic_link/a_tap_that_is_deleted_takes_the_link_with_it",
     a_tap_that_is_deleted_takes_the_link_with_it},
    {"traffic_link/what_a_guest_sends_is_limited", what_a_guest_sends_is_limited},
    {"traffic_link/what_a_guest_gets_is_limited", what_a_guest_gets_is_limited},
    {"traffic_link/a_link_is_down_for_who_has_just_sent", a_link_is_down_for_who_has_just_sent},
    {"traffic_link/through_passt", through_passt},
    {"traffic_link/passt_dies_and_is_started_again", passt_dies_and_is_started_again},
    {"traffic_link/passts_socket_comes_and_goes", passts_socket_comes_and_goes},
    {NULL, NULL}};
