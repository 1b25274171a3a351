/*
 * A walk over the structure block, once, front to back. A cursor can only move inside the block it
 * was made for; strings are accepted only with their NUL. What a node says is collected while it is
 * open and taken when it ends, since `compatible` may come after `reg`.
 */
#include "guest-kernel/boot/fdt.h"
#include "abi/platform.h"
#include "guest-kernel/lib/string.h"

#define FDT_MAGIC       0xd00dfeedu
#define FDT_HEADER_SIZE 40
#define FDT_VERSION     17
#define FDT_DEPTH       8

enum {
    FDT_BEGIN_NODE = 1,
    FDT_END_NODE = 2,
    FDT_PROP = 3,
    FDT_NOP = 4,
    FDT_END = 9,
};

/* Byte offsets of the header's fields (Devicetree Specification 5.2). */
enum {
    HEADER_MAGIC = 0,
    HEADER_TOTAL_SIZE = 4,
    HEADER_OFF_STRUCT = 8,
    HEADER_OFF_STRINGS = 12,
    HEADER_VERSION = 20,
    HEADER_LAST_COMPATIBLE = 24,
    HEADER_SIZE_STRINGS = 32,
    HEADER_SIZE_STRUCT = 36,
};

struct bytes {
    const u8 *at;
    size_t len;
};

struct node {
    const char *name;
    u32 address_cells, size_cells; /* for its children */
    struct bytes compatible, device_type, reg, interrupts, preset, device_id, net;
};

struct walk {
    struct bytes structure, strings;
    size_t at;
    unsigned depth; /* open nodes; the root is 1 */
    struct node nodes[FDT_DEPTH];
    struct boot_info *out;
};

static u32 be32(const u8 *p)
{
    return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | (u32)p[3];
}

static bool within(size_t at, size_t len, size_t size)
{
    return at <= size && len <= size - at;
}

/* A number of 1 or 2 cells at the front of *b; moves *b past it. */
static bool take_cells(struct bytes *b, u32 cells, u64 *out)
{
    if (cells < 1 || cells > 2 || b->len < cells * 4u)
        return false;
    *out = 0;
    for (u32 i = 0; i < cells; i++)
        *out = *out << 32 | be32(b->at + i * 4u);
    b->at += cells * 4u;
    b->len -= cells * 4u;
    return true;
}

static bool whole_number(struct bytes b, u64 *out)
{
    return b.len % 4 == 0 && take_cells(&b, (u32)(b.len / 4), out) && b.len == 0;
}

static bool ends_in_nul(struct bytes b)
{
    return b.len > 0 && b.at[b.len - 1] == '\0';
}

static bool is_text(struct bytes b, const char *text)
{
    size_t len = strlen(text) + 1;

    return b.len == len && memcmp(b.at, text, len) == 0;
}

/* True if the string list b names `text`. */
static bool lists(struct bytes b, const char *text)
{
    if (!ends_in_nul(b))
        return false;
    while (b.len > 0) {
        size_t len = strlen((const char *)b.at) + 1;

        if (is_text((struct bytes){b.at, len}, text))
            return true;
        b.at += len;
        b.len -= len;
    }
    return false;
}

static bool take_word(struct walk *w, u32 *out)
{
    if (!within(w->at, 4, w->structure.len))
        return false;
    *out = be32(w->structure.at + w->at);
    w->at += 4;
    return true;
}

/* The next len bytes, and the padding after them. */
static bool take_bytes(struct walk *w, size_t len, struct bytes *out)
{
    if (!within(w->at, len, w->structure.len))
        return false;
    *out = (struct bytes){w->structure.at + w->at, len};
    w->at += len;
    while (w->at % 4 != 0 && w->at < w->structure.len)
        w->at++;
    return true;
}

static const char *string_in(struct bytes b, size_t at)
{
    if (at >= b.len || memchr(b.at + at, '\0', b.len - at) == NULL)
        return NULL;
    return (const char *)b.at + at;
}

static bool chosen_text(struct bytes value, const char **out, size_t *len)
{
    if (value.len > 0 && !ends_in_nul(value))
        return false;
    *out = (const char *)value.at;
    *len = value.len;
    return true;
}

static bool chosen_property(struct boot_info *out, const char *name, struct bytes value)
{
    size_t len;

    if (strcmp(name, "linux,initrd-start") == 0)
        return whole_number(value, &out->program_start);
    if (strcmp(name, "linux,initrd-end") == 0)
        return whole_number(value, &out->program_end);
    if (strcmp(name, "samara,free-start") == 0)
        return whole_number(value, &out->free_start);
    if (strcmp(name, "samara,argv") == 0)
        return chosen_text(value, &out->argv, &out->argv_len);
    if (strcmp(name, "samara,envp") == 0)
        return chosen_text(value, &out->envp, &out->envp_len);
    if (strcmp(name, "samara,exec-path") == 0)
        return value.len > 0 && chosen_text(value, &out->exec_path, &len);
    if (strcmp(name, "bootargs") == 0)
        return value.len > 0 && chosen_text(value, &out->bootargs, &len);
    return true;
}

static bool property(struct walk *w)
{
    struct node *n = &w->nodes[w->depth - 1];
    struct bytes value;
    const char *name;
    u32 len, name_at;
    u64 cells;

    if (!take_word(w, &len) || !take_word(w, &name_at) || !take_bytes(w, len, &value))
        return false;
    name = string_in(w->strings, name_at);
    if (name == NULL)
        return false;
    if (w->depth == 2 && strcmp(n->name, "chosen") == 0)
        return chosen_property(w->out, name, value);
    if (strcmp(name, "#address-cells") == 0 || strcmp(name, "#size-cells") == 0) {
        if (value.len != 4 || !whole_number(value, &cells) || cells > 2)
            return false;
        *(name[1] == 'a' ? &n->address_cells : &n->size_cells) = (u32)cells;
    } else if (strcmp(name, "compatible") == 0) {
        n->compatible = value;
    } else if (strcmp(name, "device_type") == 0) {
        n->device_type = value;
    } else if (strcmp(name, "reg") == 0) {
        n->reg = value;
    } else if (strcmp(name, "interrupts") == 0) {
        n->interrupts = value;
    } else if (strcmp(name, SAMARA_PROP_PRESET) == 0) {
        n->preset = value;
    } else if (strcmp(name, SAMARA_PROP_DEVICE_ID) == 0) {
        n->device_id = value;
    } else if (strcmp(name, SAMARA_PROP_NET) == 0) {
        n->net = value;
    }
    return true;
}

static bool take_reg(struct node *n, const struct node *parent, u64 *base, u64 *size)
{
    return take_cells(&n->reg, parent->address_cells, base) &&
           take_cells(&n->reg, parent->size_cells, size) && *size <= UINT64_MAX - *base;
}

static bool take_vector(const struct node *n, u32 *out)
{
    struct bytes interrupts = n->interrupts;
    u64 vector;

    if (!take_cells(&interrupts, 1, &vector))
        return false;
    *out = (u32)vector;
    return true;
}

static bool memory_node(struct boot_info *out, struct node *n, const struct node *parent)
{
    u64 base, size;

    while (n->reg.len > 0) {
        if (!take_reg(n, parent, &base, &size) || size > UINT64_MAX - out->ram_bytes)
            return false;
        out->ram_bytes += size;
    }
    return true;
}

static bool platform_node(struct boot_info *out, struct node *n, const struct node *parent)
{
    u64 size;

    return take_reg(n, parent, &out->platform_gpa, &size) &&
           take_reg(n, parent, &out->doorbell_gpa, &size) && take_vector(n, &out->platform_vector);
}

/* SAMARA_PROP_PRESET, if the node has it; what does not add up is malformed. */
static bool take_preset(struct bytes b, struct boot_preset *out)
{
    u64 cells[5] = {0};

    if (b.len == 0)
        return true;
    if (b.len != SAMARA_PRESET_CELLS * 4)
        return false;
    for (unsigned i = 0; i < 3; i++)
        take_cells(&b, 1, &cells[i]);
    take_cells(&b, 2, &out->gpa);
    take_cells(&b, 1, &cells[3]);
    take_cells(&b, 1, &cells[4]);
    out->device_id = (u32)cells[0];
    out->queues = (u32)cells[1];
    out->size = (u32)cells[2];
    out->stride = (u32)cells[3];
    out->features = (u32)cells[4];
    return true;
}

static bool take_device_id(struct bytes b, u32 *out)
{
    u64 id = 0;

    if (b.len != 0 && (b.len != 4 || !whole_number(b, &id)))
        return false;
    *out = (u32)id;
    return true;
}

static bool take_net(struct bytes b, const char **out)
{
    if (b.len == 0)
        return true;
    *out = (const char *)b.at;
    return b.len <= SAMARA_NET_MAX && ends_in_nul(b);
}

static bool virtio_node(struct boot_info *out, struct node *n, const struct node *parent)
{
    struct boot_virtio *v;

    if (out->virtio_count == BOOT_VIRTIO_MAX)
        return true;
    v = &out->virtio[out->virtio_count];
    if (!take_reg(n, parent, &v->gpa, &v->size) || !take_vector(n, &v->vector) ||
        !take_preset(n->preset, &v->preset) || !take_device_id(n->device_id, &v->device_id) ||
        !take_net(n->net, &v->net))
        return false;
    out->virtio_count++;
    return true;
}

static bool begin_node(struct walk *w)
{
    const char *name = string_in(w->structure, w->at);
    struct bytes skipped;

    if (name == NULL || w->depth == FDT_DEPTH || !take_bytes(w, strlen(name) + 1, &skipped))
        return false;
    w->nodes[w->depth++] = (struct node){.name = name, .address_cells = 2, .size_cells = 1};
    return true;
}

static bool end_node(struct walk *w)
{
    struct node *n = &w->nodes[--w->depth];
    const struct node *parent = n - 1;

    if (w->depth == 0)
        return true;
    if (is_text(n->device_type, "memory"))
        return memory_node(w->out, n, parent);
    if (lists(n->compatible, "samara,platform"))
        return platform_node(w->out, n, parent);
    if (lists(n->compatible, "virtio,mmio"))
        return virtio_node(w->out, n, parent);
    return true;
}

static bool walk_tree(struct walk *w)
{
    bool rooted = false;
    u32 token;

    while (take_word(w, &token)) {
        if (token == FDT_NOP)
            continue;
        if (token == FDT_END)
            return rooted && w->depth == 0;
        if (token == FDT_BEGIN_NODE) {
            if ((rooted && w->depth == 0) || !begin_node(w))
                return false;
            rooted = true;
            continue;
        }
        if (w->depth == 0)
            return false;
        if (token == FDT_END_NODE ? !end_node(w) : token != FDT_PROP || !property(w))
            return false;
    }
    return false;
}

static bool open_blob(struct walk *w, const u8 *blob, size_t size)
{
    u32 total, structure, strings, structure_size, strings_size;

    if (blob == NULL || size < FDT_HEADER_SIZE || be32(blob + HEADER_MAGIC) != FDT_MAGIC)
        return false;
    total = be32(blob + HEADER_TOTAL_SIZE);
    structure = be32(blob + HEADER_OFF_STRUCT);
    strings = be32(blob + HEADER_OFF_STRINGS);
    structure_size = be32(blob + HEADER_SIZE_STRUCT);
    strings_size = be32(blob + HEADER_SIZE_STRINGS);
    if (total > size || be32(blob + HEADER_VERSION) < FDT_VERSION ||
        be32(blob + HEADER_LAST_COMPATIBLE) > FDT_VERSION)
        return false;
    if (!within(structure, structure_size, total) || !within(strings, strings_size, total))
        return false;
    w->structure = (struct bytes){blob + structure, structure_size};
    w->strings = (struct bytes){blob + strings, strings_size};
    return true;
}

static bool sensible(const struct boot_info *b)
{
    return b->program_start <= b->program_end;
}

bool fdt_parse(const void *blob, size_t size, struct boot_info *out)
{
    struct walk w = {.out = out};

    *out = (struct boot_info){.bootargs = ""};
    if (open_blob(&w, blob, size) && walk_tree(&w) && sensible(out))
        return true;
    *out = (struct boot_info){0};
    return false;
}
