#include "tests/vm/lan_servers.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/vm/lan.h"
#include "tests/vm/runner.h"

/* --- DNS (RFC 1035) --- */

enum { DNS_PORT = 53, DNS_HEADER = 12, DNS_MOST = 512, TYPE_A = 1, TYPE_AAAA = 28 };
enum { RESPONSE = 0x84, RECURSION = 0x80, NO_SUCH_NAME = 3 };

static const uint8_t known_name[] = "\4host\4test"; /* with the root's empty label */

/* The answer's address; 0: of no such type. */
static uint16_t host_address(unsigned type, uint8_t address[16])
{
    if (type == TYPE_A && inet_pton(AF_INET, LAN_HOST4, address) == 1)
        return 4;
    if (type == TYPE_AAAA && inet_pton(AF_INET6, LAN_HOST6, address) == 1)
        return 16;
    return 0;
}

/* One record behind the question; its name is the question's. */
static size_t add_answer(uint8_t *at, unsigned type)
{
    const uint8_t head[] = {0xc0, DNS_HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0};
    uint16_t len = host_address(type, at + sizeof(head) + 1);

    if (len == 0)
        return 0;
    memcpy(at, head, sizeof(head));
    at[sizeof(head)] = (uint8_t)len;
    return sizeof(head) + 1 + len;
}

/* Makes an answer of the question. Whatever came with that (EDNS) is cut off. */
static size_t answer(uint8_t packet[DNS_MOST + 64], size_t len)
{
    const uint8_t *name = packet + DNS_HEADER;
    size_t name_len = len > DNS_HEADER ? strnlen((const char *)name, len - DNS_HEADER) + 1 : 0;
    size_t end = DNS_HEADER + name_len + 4;
    bool known = name_len == sizeof(known_name) && memcmp(name, known_name, name_len) == 0;
    size_t more;

    if (name_len == 0 || end > len)
        return 0;
    more = known ? add_answer(packet + end, packet[end - 3]) : 0;
    packet[2] = (uint8_t)(RESPONSE | (packet[2] & 1));
    packet[3] = (uint8_t)(RECURSION | (known ? 0 : NO_SUCH_NAME));
    memset(packet + 4, 0, DNS_HEADER - 4);
    packet[5] = 1;
    packet[7] = more > 0;
    return end + more;
}

static void serve_names(void *arg)
{
    const int fd = *(int *)arg;
    uint8_t packet[DNS_MOST + 64];
    struct sockaddr_storage from;

    for (;;) {
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(fd, packet, DNS_MOST, 0, (struct sockaddr *)&from, &from_len);
        size_t len;

        CHECK(n >= 0);
        len = answer(packet, (size_t)n);
        if (len > 0)
            CHECK(sendto(fd, packet, len, 0, (struct sockaddr *)&from, from_len) == (ssize_t)len);
    }
}

void lan_name_server(void)
{
    static const char *const places[] = {LAN_HOST4, LAN_HOST6};

    for (unsigned i = 0; i < 2; i++) {
        int fd = lan_bound(SOCK_DGRAM, places[i], DNS_PORT);

        beside(serve_names, &fd);
        close(fd);
    }
}

/* --- router advertisements --- */

struct advertisement {
    struct nd_router_advert head;
    struct nd_opt_prefix_info prefix;
    struct {
        uint8_t type, units;
        uint16_t reserved;
        uint32_t lifetime;
        struct in6_addr server;
    } names;
};
_Static_assert(sizeof(struct advertisement) == 16 + 32 + 24, "no holes");

static struct advertisement what_is_said(void)
{
    struct advertisement a = {
        .head.nd_ra_hdr.icmp6_type = ND_ROUTER_ADVERT,
        .prefix = {.nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION,
                   .nd_opt_pi_len = sizeof(a.prefix) / 8,
                   .nd_opt_pi_prefix_len = 64,
                   .nd_opt_pi_flags_reserved = ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO,
                   .nd_opt_pi_valid_time = htonl(3600),
                   .nd_opt_pi_preferred_time = htonl(1800)},
        .names = {.type = 25, .units = sizeof(a.names) / 8, .lifetime = htonl(1800)},
    };

    a.head.nd_ra_curhoplimit = 64;
    a.head.nd_ra_router_lifetime = htons(1800);
    CHECK(inet_pton(AF_INET6, "fd77::", &a.prefix.nd_opt_pi_prefix) == 1);
    CHECK(inet_pton(AF_INET6, LAN_HOST6, &a.names.server) == 1);
    return a;
}

/* Hears solicitations, which go to all routers. */
static int router_socket(unsigned interface)
{
    int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6), hops = 255;
    struct ipv6_mreq all_routers = {.ipv6mr_interface = interface};
    struct icmp6_filter filter;

    CHECK(inet_pton(AF_INET6, "ff02::2", &all_routers.ipv6mr_multiaddr) == 1);
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
    CHECK(fd >= 0 && setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) == 0 &&
          setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &all_routers, sizeof(all_routers)) == 0 &&
          setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) == 0);
    return fd;
}

static void advertise(void *arg)
{
    const int fd = *(int *)arg;
    const struct advertisement said = what_is_said();
    struct sockaddr_in6 all_nodes = {.sin6_family = AF_INET6,
                                     .sin6_scope_id = if_nametoindex("tap7")};
    char solicitation[1500];

    CHECK(inet_pton(AF_INET6, "ff02::1", &all_nodes.sin6_addr) == 1);
    while (recv(fd, solicitation, sizeof(solicitation), 0) >= 0)
        CHECK(sendto(fd, &said, sizeof(said), 0, (struct sockaddr *)&all_nodes,
                     sizeof(all_nodes)) == sizeof(said));
}

void lan_router(void)
{
    int fd = router_socket(if_nametoindex("tap7"));

    beside(advertise, &fd);
    close(fd);
}

/* --- busybox --- */

void lan_dhcp_server(unsigned delay_ms)
{
    const char *path = scratch("udhcpd.conf");
    char delay[16];
    const char *const argv[] = {"/bin/busybox", "udhcpd", "-f", "-a", delay, path, NULL};
    FILE *f = fopen(path, "w");

    CHECK(f);
    fprintf(f,
            "interface tap7\nstart %s\nend %s\nmax_leases 1\npidfile %s.pid\nlease_file %s.leases\n"
            "opt subnet 255.255.255.0\nopt router %s\nopt dns %s\nopt lease 600\n",
            LAN_LEASE4, LAN_LEASE4, path, path, LAN_HOST4, LAN_HOST4);
    CHECK(fclose(f) == 0);
    snprintf(delay, sizeof(delay), "%u", delay_ms);
    beside_run(argv);
}

void lan_web_server(const char *folder)
{
    const char *const argv[] = {"/bin/busybox", "httpd", "-f", "-p", "8000", "-h", folder, NULL};

    beside_run(argv);
    close(lan_connect(SOCK_STREAM, LAN_HOST4, 8000));
}
