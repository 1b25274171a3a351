/* Checksums and segmentation: what is offered, accepted and allowed in a frame's header. */
#include <linux/if_tun.h>

#include "abi/virtio.h"
#include "devices/net_state.h"

/* linux/if_tun.h of Debian 12 lacks them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { USO = TUN_F_USO4 | TUN_F_USO6, CHECKSUM_BYTES = 2 };

static const struct offload {
    uint32_t tun;
    uint8_t guest, host; /* feature bits */
} offloads_known[] = {
    {TUN_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_CSUM},
    {TUN_F_TSO4, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4},
    {TUN_F_TSO6, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_TSO6},
    {TUN_F_TSO_ECN, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_HOST_ECN},
    {TUN_F_UFO, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_UFO},
    {TUN_F_USO4, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_HOST_USO},
    {TUN_F_USO6, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_HOST_USO},
};

enum { OFFLOADS = sizeof(offloads_known) / sizeof(offloads_known[0]) };

uint32_t net_offloads_sound(uint32_t offloads)
{
    if (!(offloads & TUN_F_CSUM))
        return 0;
    if (!(offloads & (TUN_F_TSO4 | TUN_F_TSO6)))
        offloads &= ~(uint32_t)TUN_F_TSO_ECN;
    if ((offloads & USO) != USO) /* a tap takes both or none */
        offloads &= ~(uint32_t)USO;
    return offloads;
}

uint64_t net_offload_features(uint32_t offloads)
{
    uint64_t features = 0;

    offloads = net_offloads_sound(offloads);
    for (unsigned i = 0; i < OFFLOADS; i++) {
        const struct offload *o = &offloads_known[i];

        if (offloads & o->tun)
            features |= VIRTIO_FEATURE(o->guest) | VIRTIO_FEATURE(o->host);
    }
    return features;
}

uint32_t net_offloads_for_guest(uint64_t features)
{
    uint32_t offloads = 0;

    for (unsigned i = 0; i < OFFLOADS; i++) {
        if (features & VIRTIO_FEATURE(offloads_known[i].guest))
            offloads |= offloads_known[i].tun;
    }
    return net_offloads_sound(offloads);
}

uint32_t net_offloads_for_host(uint64_t features)
{
    uint32_t offloads = 0;

    for (unsigned i = 0; i < OFFLOADS; i++) {
        if (features & VIRTIO_FEATURE(offloads_known[i].host))
            offloads |= offloads_known[i].tun;
    }
    return net_offloads_sound(offloads);
}

/* --- headers --- */

/* What a gso_type needs; TUN_F_CSUM alone for none at all, 0 if there is no such type. */
static uint32_t needed_for(uint8_t gso_type)
{
    switch (gso_type) {
    case VIRTIO_NET_HDR_GSO_NONE:
        return TUN_F_CSUM;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return TUN_F_TSO4;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return TUN_F_TSO6;
    case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
        return TUN_F_TSO4 | TUN_F_TSO_ECN;
    case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
        return TUN_F_TSO6 | TUN_F_TSO_ECN;
    case VIRTIO_NET_HDR_GSO_UDP:
        return TUN_F_UFO;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
        return USO;
    default:
        return 0;
    }
}

static bool checksum_is_inside(const struct virtio_net_header *h, size_t frame)
{
    return (size_t)h->csum_start + h->csum_offset + CHECKSUM_BYTES <= frame;
}

/* Segments need their checksums made. */
static bool segments_check(const struct virtio_net_header *h, uint32_t offloads)
{
    const uint32_t needed = needed_for(h->gso_type);

    return needed != 0 && (offloads & needed) == needed && h->gso_size > 0 &&
           h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
}

bool net_header_check(struct virtio_net_header *h, size_t frame, uint32_t offloads)
{
    h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
    h->buffers = 0;
    if (!(offloads & TUN_F_CSUM))
        h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        h->csum_start = h->csum_offset = 0;
    else if (!(offloads & TUN_F_CSUM) || !checksum_is_inside(h, frame))
        return false;
    if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        h->gso_size = 0;
    else if (!segments_check(h, offloads))
        return false;
    if (h->header_len > frame) /* a hint, but a tap insists */
        h->header_len = (uint16_t)frame;
    return true;
}
