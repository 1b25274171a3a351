#include "guest-kernel/net/stack.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/net/listing.h"
#include "guest-kernel/net/timers.h"
#include "lwip/init.h"
#include "lwip/netif.h"

enum { LO_MTU = 65535 };

static bool inside; /* lwIP, or on the way out of it */

void stack_init(void)
{
    struct netif *lo;

    lwip_init();
    lo = netif_get_by_index(1);
    lo->mtu = LO_MTU;
    lo->mtu6 = LO_MTU;
}

void net_enter(void)
{
    if (inside)
        return;
    inside = true;
    net_timers_run();
    inside = false;
}

/* What goes to ourselves is taken in first: the answer may be for others. */
void net_flush(void)
{
    if (inside)
        return;
    inside = true;
    netif_poll_all();
    net_counters_gather();
    net_notify();
    net_timers_set();
    inside = false;
}

void stack_run(void (*work)(void *arg), void *arg)
{
    bool outside = !inside;

    net_enter();
    inside = true;
    work(arg);
    inside = !outside;
    net_flush();
}

/* --- what lwIP asks of us (net/lwip/arch/cc.h) --- */

u32 net_random(void)
{
    u32 value;

    random_bytes(&value, sizeof(value));
    return value;
}

_Noreturn void net_assertion_failed(const char *text)
{
    panic(NULL, "lwIP: %s", text);
}
