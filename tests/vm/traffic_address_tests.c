/* Where a guest's addresses and name servers come from: --net's words, DHCP, or a router. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/vm/lan.h"
#include "tests/vm/lan_servers.h"
#include "tests/vm/runner.h"

/* With this hardware address a guest is fd77::ff:fe00:7 (RFC 4291, appendix A). */
#define ASKS     "tap=tap7,mac=02:00:00:00:00:07"
#define LAN_EUI6 "fd77::ff:fe00:7"

static void resolv_conf_is(const char *net, const char *text)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, "/bin/busybox", "cat", "/etc/resolv.conf"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, text);
    outcome_free(&o);
}

/* The C library's answer, in whatever order it thinks best. */
static void resolves(const char *net, const char *resolver)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, program(resolver), "resolve", LAN_NAME}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(strcmp(o.out, LAN_HOST4 "\n" LAN_HOST6 "\n") == 0 ||
          strcmp(o.out, LAN_HOST6 "\n" LAN_HOST4 "\n") == 0);
    outcome_free(&o);
}

static void nslookup_finds(const char *net)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, "/bin/busybox", "nslookup", LAN_NAME}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(strstr(o.out, "Address: " LAN_HOST4 "\n") && strstr(o.out, "Address: " LAN_HOST6 "\n"));
    outcome_free(&o);
}

static void make_page(const char *folder, const unsigned char *content, size_t len)
{
    char path[300];
    FILE *f;

    CHECK(mkdir(folder, 0755) == 0 || errno == EEXIST); /* several tests have it */
    snprintf(path, sizeof(path), "%s/page", folder);
    f = fopen(path, "w");
    CHECK(f && fwrite(content, 1, len, f) == len && fclose(f) == 0);
}

enum { PAGE_BYTES = 3 << 20 };

static void wget_fetches(const char *net, const unsigned char *page)
{
    struct job job = {.argv = {samara(), "run", "--net", net, "/bin/busybox", "wget", "-q", "-O",
                               "-", "http://" LAN_NAME ":8000/page"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT_IS(&o, page, PAGE_BYTES);
    outcome_free(&o);
}

/* Everything that needs a name. */
static void names_are_known(const char *net)
{
    unsigned char *page = lan_data(PAGE_BYTES, 5);

    lan_name_server();
    make_page(scratch("web"), page, PAGE_BYTES);
    lan_web_server(scratch("web"));
    resolves(net, "traffic");
    resolves(net, "traffic-musl");
    nslookup_finds(net);
    wget_fetches(net, page);
    free(page);
}

struct answerer {
    int listener;
    const char *guest;
};

static void answer(void *arg)
{
    const struct answerer *a = arg;
    int fd = lan_accept(a->listener);

    lan_peer_is(fd, a->guest);
    lan_send(fd, "!", 1);
}

/* Its address is what the host sees of it. */
static void comes_from(const char *net, const char *host, const char *guest)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, program("traffic"), "ask", host, "5000"}};
    int listener = lan_bound(SOCK_STREAM, host, 5000);
    struct answerer a = {listener, guest};
    pid_t answerer = beside(answer, &a);
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "asked\nan answer\n");
    outcome_free(&o);
    beside_ends(answerer);
    close(listener);
}

/* And says so without having waited for a connection. */
static void cannot_reach(const char *net, const char *host, const char *error)
{
    struct job job = {
        .argv = {samara(), "run", "--net", net, program("traffic"), "ask", host, "5000"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 1);
    CHECK(strncmp(o.out, "connect: ", 9) == 0 && strcmp(o.out + 9, error) == 0);
    outcome_free(&o);
}

static void has_no_way_to(const char *net, const char *host)
{
    cannot_reach(net, host, "Network is unreachable\n");
}

static void given_ones(void)
{
    const char *net = "tap=tap7,ip=10.77.0.9/24,ip=fd77::9/64,dns=" LAN_HOST6 ",dns=" LAN_HOST4;

    lan_make();
    resolv_conf_is(net, "nameserver " LAN_HOST6 "\nnameserver " LAN_HOST4 "\n");
    comes_from(net, LAN_HOST4, "10.77.0.9");
    comes_from(net, LAN_HOST6, "fd77::9");
    has_no_way_to(net, "192.0.2.1");
    has_no_way_to(net, "2001:db8::1");
    names_are_known(net);
}

static void from_dhcp(void)
{
    lan_make();
    lan_dhcp_server(10);
    resolv_conf_is(ASKS, "nameserver " LAN_HOST4 "\n");
    comes_from(ASKS, LAN_HOST4, LAN_LEASE4);
    has_no_way_to(ASKS, LAN_HOST6);
    names_are_known(ASKS);
}

/* Servers look whether anybody has the address: udhcpd for 2 s unless told otherwise, dnsmasq (and
 * libvirt's networks with it) for 3. */
static void from_a_careful_dhcp_server(void)
{
    lan_make();
    lan_dhcp_server(3000);
    comes_from(ASKS, LAN_HOST4, LAN_LEASE4);
}

static void from_a_router(void)
{
    lan_make();
    lan_router();
    resolv_conf_is(ASKS, "nameserver " LAN_HOST6 "\n");
    comes_from(ASKS, LAN_HOST6, LAN_EUI6);
    names_are_known(ASKS);
}

/* The guest's gateway, in each way to learn of it, to an address that is not on its link. */
static void a_way_beyond_the_link(void)
{
    lan_make();
    lan_address("lo", "192.0.2.1", 32);
    lan_address("lo", "2001:db8::1", 128);
    comes_from(LAN_FIXED, "192.0.2.1", LAN_GUEST4);
    comes_from(LAN_FIXED, "2001:db8::1", LAN_GUEST6);
    lan_router();
    comes_from(ASKS, "2001:db8::1", LAN_EUI6);
    lan_dhcp_server(10);
    comes_from(ASKS, "192.0.2.1", LAN_LEASE4);
}

/* A router says that it knows no way; on the link nobody answers, of whom nobody speaks. */
static void somebody_who_is_not_there(void)
{
    lan_make();
    lan_sysctl("ipv4/ip_forward", "1");
    lan_sysctl("ipv6/conf/all/forwarding", "1");
    has_no_way_to(LAN_FIXED, "192.0.2.1");
    has_no_way_to(LAN_FIXED, "2001:db8::1");
    cannot_reach(LAN_FIXED, "10.77.0.99", "No route to host\n");
    cannot_reach(LAN_FIXED, "fd77::99", "No route to host\n");
}

/* Only who asks for all errors (IP_RECVERR) hears of what may pass. */
static void who_asks_for_all_errors_has_them(void)
{
    struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("inet_corners"),
                               "errors", "192.0.2.1", "192.0.2.2"},
                      .keep_input_open = true};
    struct running r;
    struct outcome o;
    int listener;

    lan_make();
    lan_sysctl("ipv4/ip_forward", "1");
    lan_sysctl("ipv4/ip_early_demux", "0"); /* it finds the connection without the address */
    lan_sysctl("ipv4/icmp_ratelimit", "0");
    lan_address("lo", "192.0.2.2", 32);
    listener = lan_bound(SOCK_STREAM, "192.0.2.2", 5000);
    job_start(&job, &r);
    CHECK(job_await(&r, "connected\n"));
    lan_address("lo", "127.0.0.1", 8); /* instead */
    CHECK(write(r.in, "\n", 1) == 1);
    job_finish(&r, &o);
    STATUS(&o, 0);
    close(listener);
    CHECK(strstr(o.out, "deaf: -1 Resource temporarily unavailable\n"
                        "send: 1\nkeen: -1 Network is unreachable\n"));
    outcome_free(&o);
}

/* Then the way to somebody is what is missing, and no program waits for ever. */
static void from_nobody(void)
{
    lan_make();
    has_no_way_to(ASKS, LAN_HOST4);
}

const struct vm_test traffic_address_tests[] = {
    {"traffic_address/given_ones", given_ones},
    {"traffic_address/from_dhcp", from_dhcp},
    {"traffic_address/from_a_careful_dhcp_server", from_a_careful_dhcp_server},
    {"traffic_address/from_a_router", from_a_router},
    {"traffic_address/a_way_beyond_the_link", a_way_beyond_the_link},
    {"traffic_address/from_nobody", from_nobody},
    {"traffic_address/somebody_who_is_not_there", somebody_who_is_not_there},
    {"traffic_address/who_asks_for_all_errors_has_them", who_asks_for_all_errors_has_them},
    {NULL, NULL}};
