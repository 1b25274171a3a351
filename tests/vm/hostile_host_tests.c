/*
 * A host that means harm to a VM that does not: floods at its interface, clients of its vsock that
 * say nothing or do not read. Their network is one of the test's own.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/vm/hostile_judge.h"
#include "tests/vm/runner.h"

/* What a VM of the default size takes with our kernel in it, and what clients may take beside that.
 */
enum {
    MOST_KIB = 48 << 10,
    FEW_FILES = 64 + 40,
    CLIENTS = 10000,
    PINGS = 20,
    DEAF = 7,
    CHUNK = 32 << 10
};

/* --- a program that answers --- */

static char vsock_path[90];

/* With a network, it has a socket that nobody reads from. */
static void start_echo(struct running *r, const char *option, const char *value, const char *deaf)
{
    struct job job = {.argv = {samara(), "run", "--name", "victim", "--vsock", vsock_path, option,
                               value, program("vsock_echo"), "listen", "5000", deaf},
                      .keep_input_open = true};

    snprintf(vsock_path, sizeof(vsock_path), "%s", scratch("victim.sock"));
    own_runtime_directory();
    job_start(&job, r);
    CHECK(job_await(r, "listening\n"));
}

static void end_echo(struct running *r)
{
    struct outcome o;

    answers_control("victim", "kill");
    job_finish(r, &o);
    STATUS(&o, 137);
    outcome_free(&o);
}

static int dial(void)
{
    const struct sockaddr_un a = address_of(vsock_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void hear(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;

    for (; *text; text++)
        CHECK(poll(&p, 1, 60000) == 1 && read(fd, &byte, 1) == 1 && byte == *text);
}

static int dial_the_program(void)
{
    struct pollfd p = {.events = POLLIN};
    char byte = 0;

    p.fd = dial();
    say(p.fd, "CONNECT 5000\n");
    hear(p.fd, "OK ");
    while (byte != '\n')
        CHECK(poll(&p, 1, 60000) == 1 && read(p.fd, &byte, 1) == 1);
    return p.fd;
}

static void is_served(int fd)
{
    for (int i = 0; i < PINGS; i++) {
        say(fd, "ping\n");
        hear(fd, "ping\n");
    }
}

/* --- an interface --- */

struct datagram {
    unsigned char ethernet[14];
    struct iphdr ip;
    struct udphdr udp;
    unsigned char data[1472];
} __attribute__((packed));

/* Of a header without options. */
static uint16_t checksum(const void *header)
{
    uint16_t words[10];
    uint32_t sum = 0;

    memcpy(words, header, sizeof(words));
    for (unsigned i = 0; i < 10; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* To everybody's card and the victim's address: of 28 and more bytes. */
static size_t make_datagram(struct datagram *d, uint16_t port, size_t bytes)
{
    static const unsigned char ethernet[14] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8};

    memcpy(d->ethernet, ethernet, sizeof(ethernet));
    d->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    d->ip.tot_len = htons((uint16_t)bytes);
    d->ip.saddr = inet_addr("10.0.0.1");
    d->ip.daddr = inet_addr("10.0.0.2");
    d->ip.check = checksum(&d->ip);
    d->udp = (struct udphdr){.source = htons(9), .dest = htons(port)};
    d->udp.len = htons((uint16_t)(bytes - sizeof(d->ip)));
    return sizeof(ethernet) + bytes;
}

/* Every other datagram goes where a socket is that nobody reads from, the others nowhere. */
static pid_t start_flood(const char *name)
{
    static struct datagram d;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    pid_t pid;

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    CHECK(send(fd, &d, make_datagram(&d, DEAF, 100), 0) == 114);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0;; i++)
            (void)!send(fd, &d, make_datagram(&d, (uint16_t)(DEAF + i % 2), 28 + i % 1472), 0);
    }
    close(fd);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Frames that were read from the tap. */
static unsigned long taken_from(const char *name)
{
    unsigned long count = 0;
    char line[400];
    FILE *f = fopen("/proc/net/dev", "r");

    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        const char *at = strstr(line, name);

        if (at)
            sscanf(at + strlen(name), ": %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &count);
    }
    fclose(f);
    return count;
}

static void a_flooded_interface_leaves_time_for_streams(void)
{
    struct running r;
    pid_t flood;
    int fd;

    own_tap("tap7");
    start_echo(&r, "--net", "tap=tap7,ip=10.0.0.2/24", "7");
    flood = start_flood("tap7");
    for (int i = times(10, 2); i > 0; i--) {
        fd = dial_the_program();
        is_served(fd);
        close(fd);
        answers_control("victim", "status");
    }
    is_small(monitor_of(r.pid), MOST_KIB, FEW_FILES);
    end_echo(&r);
    end(flood);
    CHECK(taken_from("tap7") > 1000);
}

static void comes_back(const struct running *r, const char *bytes, size_t len)
{
    static char back[CHUNK];
    size_t got = 0;

    CHECK(write(r->in, bytes, len) == (ssize_t)len);
    while (got < len) {
        struct pollfd p = {.fd = r->out, .events = POLLIN};
        ssize_t n;

        CHECK(poll(&p, 1, 60000) == 1);
        n = read(r->out, back + got, len - got);
        CHECK(n > 0);
        got += (size_t)n;
    }
    CHECK(memcmp(back, bytes, len) == 0);
}

static void a_flooded_interface_leaves_time_for_standard_input(void)
{
    struct job job = {
        .argv = {samara(), "run", "--net", "tap=tap7,ip=10.0.0.2/24", program("cat"), "65536", "7"},
        .keep_input_open = true};
    static char chunk[CHUNK];
    struct running r;
    struct outcome o;
    pid_t flood;

    for (size_t i = 0; i < CHUNK; i++)
        chunk[i] = (char)(i * 7 + i / 251);
    own_tap("tap7");
    flood = start_flood("tap7");
    job_start(&job, &r);
    for (int i = 0; i < times(50, 10) || (i < 5000 && taken_from("tap7") < 1000); i++)
        comes_back(&r, chunk, CHUNK);
    close(r.in);
    r.in = -1;
    job_finish(&r, &o);
    end(flood);
    CHECK(taken_from("tap7") >= 1000);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

/* --- vsock --- */

/* The oldest give way to others, so that whoever says what it wants is served. */
static void clients_that_say_nothing_give_way(void)
{
    static int fds[CLIENTS];
    const int clients = times(CLIENTS, 1000);
    struct running r;
    int fd;

    allow_files(CLIENTS + 1000);
    start_echo(&r, "--mem", "128M", NULL);
    for (int i = 0; i < clients; i++)
        fds[i] = dial();
    fd = dial_the_program();
    is_served(fd);
    is_small(monitor_of(r.pid), MOST_KIB, FEW_FILES);
    for (int i = 0; i < clients; i++)
        close(fds[i]);
    is_served(fd);
    close(fd);
    end_echo(&r);
}

/* Until nobody takes more for a while: what stands in between is full. */
static size_t say_all_one_can(int fd)
{
    static const char much[4096];
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    size_t said = 0;

    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    while (poll(&p, 1, 500) == 1) {
        ssize_t n = write(fd, much, sizeof(much));

        if (n > 0)
            said += (size_t)n;
        CHECK(said < 64 << 20);
    }
    return said;
}

static void a_client_that_does_not_read_is_waited_for_in_little_room(void)
{
    static char heard[65536];
    struct pollfd p = {.events = POLLIN};
    struct running r;
    size_t said;

    start_echo(&r, "--mem", "128M", NULL);
    p.fd = dial_the_program();
    said = say_all_one_can(p.fd);
    CHECK(said > 0);
    answers_control("victim", "status");
    is_small(monitor_of(r.pid), MOST_KIB, FEW_FILES);
    while (said > 0) {
        ssize_t n;

        CHECK(poll(&p, 1, 60000) == 1);
        n = read(p.fd, heard, sizeof(heard));
        CHECK(n > 0 && (size_t)n <= said);
        said -= (size_t)n;
    }
    is_served(p.fd);
    close(p.fd);
    end_echo(&r);
}

const struct vm_test hostile_host_tests[] = {
    {"hostile/a_flooded_interface_leaves_time_for_streams",
     a_flooded_interface_leaves_time_for_streams},
    {"hostile/a_flooded_interface_leaves_time_for_standard_input",
     a_flooded_interface_leaves_time_for_standard_input},
    {"hostile/clients_that_say_nothing_give_way", clients_that_say_nothing_give_way},
    {"hostile/a_client_that_does_not_read_is_waited_for_in_little_room",
     a_client_that_does_not_read_is_waited_for_in_little_room},
    {NULL, NULL},
};
