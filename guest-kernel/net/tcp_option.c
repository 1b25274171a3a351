/* See tcp_option.h. */
#include "guest-kernel/net/tcp_option.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/inet.h"
#include "lwip/tcp.h"

enum {
    TCP_OPT_NODELAY = 1,
    TCP_OPT_MAXSEG = 2,
    TCP_OPT_CORK = 3,
    TCP_OPT_KEEPIDLE = 4,
    TCP_OPT_KEEPINTVL = 5,
    TCP_OPT_KEEPCNT = 6,
    TCP_OPT_SYNCNT = 7,
    TCP_OPT_LINGER2 = 8,
    TCP_OPT_DEFER_ACCEPT = 9,
    TCP_OPT_WINDOW_CLAMP = 10,
    TCP_OPT_INFO = 11,
    TCP_OPT_QUICKACK = 12,
    TCP_OPT_CONGESTION = 13,
    TCP_OPT_USER_TIMEOUT = 18,
};
enum { MSS_FIRST = 536, INFO_BYTES = 104, INFO_ESTABLISHED = 1, INFO_CLOSE = 7 };

/* What is out of range is refused, or brought into it. 0 is what is told at first. */
static const struct number {
    u64 name;
    int first, least, most;
    bool clamped;
} numbers[TCP_NUMBERS] = {
    [TCP_NUMBER_KEEPIDLE] = {TCP_OPT_KEEPIDLE, 7200, 1, 32767, false},
    [TCP_NUMBER_KEEPINTVL] = {TCP_OPT_KEEPINTVL, 75, 1, 32767, false},
    [TCP_NUMBER_KEEPCNT] = {TCP_OPT_KEEPCNT, 9, 1, 127, false},
    [TCP_NUMBER_SYNCNT] = {TCP_OPT_SYNCNT, 6, 1, 127, false},
    [TCP_NUMBER_LINGER2] = {TCP_OPT_LINGER2, 60, -1, 120, true},
    [TCP_NUMBER_DEFER_ACCEPT] = {TCP_OPT_DEFER_ACCEPT, 0, 0, 127, true},
    [TCP_NUMBER_WINDOW_CLAMP] = {TCP_OPT_WINDOW_CLAMP, 0, 0, INT32_MAX, true},
    [TCP_NUMBER_USER_TIMEOUT] = {TCP_OPT_USER_TIMEOUT, 0, 0, INT32_MAX, false},
    [TCP_NUMBER_MAXSEG] = {TCP_OPT_MAXSEG, MSS_FIRST, 88, 32767, false},
};

void tcp_options_apply(const struct tcp_options *o, struct tcp_pcb *pcb)
{
    const int *set = o->numbers;

    /* Within the machine a packet is cheaper than waiting for the other side's acknowledgement,
     * which comes late if it has nothing to send. Linux acknowledges at once there. */
    if (o->nodelay || inet_is_ours(&pcb->remote_ip))
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
    if (set[TCP_NUMBER_KEEPIDLE])
        pcb->keep_idle = (u32)set[TCP_NUMBER_KEEPIDLE] * 1000;
    if (set[TCP_NUMBER_KEEPINTVL])
        pcb->keep_intvl = (u32)set[TCP_NUMBER_KEEPINTVL] * 1000;
    if (set[TCP_NUMBER_KEEPCNT])
        pcb->keep_cnt = (u32)set[TCP_NUMBER_KEEPCNT];
}

/* --- setting --- */

static int find_number(u64 name)
{
    for (int i = 0; i < TCP_NUMBERS; i++) {
        if (numbers[i].name == name)
            return i;
    }
    return -ENOPROTOOPT;
}

static int set_number(struct tcp_options *o, u64 name, int value)
{
    int i = find_number(name);
    const struct number *n;

    if (i < 0)
        return i;
    n = &numbers[i];
    if (n->clamped)
        value = MAX(MIN(value, n->most), n->least);
    else if ((value < n->least || value > n->most) && !(value == 0 && i == TCP_NUMBER_MAXSEG))
        return -EINVAL;
    o->numbers[i] = value;
    return 0;
}

int tcp_options_set(struct tcp_options *o, u64 name, const void *value, u32 len)
{
    int number, err = option_number(value, len, &number);

    if (name == TCP_OPT_CONGESTION) /* there is one */
        return len >= 4 && memcmp(value, "reno", 4) == 0 ? 0 : -ENOENT;
    if (err)
        return err;
    switch (name) {
    case TCP_OPT_NODELAY:
        o->nodelay = number != 0;
        return 0;
    case TCP_OPT_CORK:
        o->corked = number != 0;
        return 0;
    case TCP_OPT_QUICKACK:
        o->no_quickack = number == 0;
        return 0;
    default:
        return set_number(o, name, number);
    }
}

/* --- getting --- */

static int give_set_number(const struct tcp_options *o, u64 name, void *value, u32 *len)
{
    int i = find_number(name);

    if (i < 0)
        return i;
    return give_number(value, len, o->numbers[i] ? o->numbers[i] : numbers[i].first);
}

static int give_congestion(void *value, u32 *len)
{
    static const char name[16] = "reno";

    memcpy(value, name, sizeof(name));
    *len = sizeof(name);
    return 0;
}

/* Nothing but the state. */
static int give_info(bool open, void *value, u32 *len)
{
    memset(value, 0, INFO_BYTES);
    *(u8 *)value = open ? INFO_ESTABLISHED : INFO_CLOSE;
    *len = INFO_BYTES;
    return 0;
}

int tcp_options_get(const struct tcp_options *o, const struct tcp_pcb *pcb, u64 name, void *value,
                    u32 *len)
{
    switch (name) {
    case TCP_OPT_NODELAY:
        return give_number(value, len, o->nodelay);
    case TCP_OPT_CORK:
        return give_number(value, len, o->corked);
    case TCP_OPT_QUICKACK:
        return give_number(value, len, !o->no_quickack);
    case TCP_OPT_CONGESTION:
        return give_congestion(value, len);
    case TCP_OPT_INFO:
        return give_info(pcb, value, len);
    case TCP_OPT_MAXSEG:
        if (pcb)
            return give_number(value, len, pcb->mss);
        return give_set_number(o, name, value, len);
    default:
        return give_set_number(o, name, value, len);
    }
}
