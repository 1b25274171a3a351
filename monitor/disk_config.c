/* See disk_config.h. */
#include "monitor/disk_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_blk.h"
#include "monitor/units.h"

/* One word of the list: takes it, with its value or NULL. */
struct word {
    const char *name;
    bool has_value;
    int (*take)(struct disk_config *c, const char *value, struct err *err);
};

static int take_ro(struct disk_config *c, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    c->read_only = true;
    return 0;
}

static int take_id(struct disk_config *c, const char *value, struct err *err)
{
    if (!value[0] || strlen(value) > VIRTIO_BLK_ID_BYTES)
        return err_set(err, "id: 1 to %u characters", VIRTIO_BLK_ID_BYTES);
    c->id = value;
    return 0;
}

static int take_overlay(struct disk_config *c, const char *value, struct err *err)
{
    c->overlay = value;
    return value[0] ? 0 : err_set(err, "overlay: which FILE?");
}

static int take_rate(struct disk_config *c, const char *value, struct err *err)
{
    return parse_size(value, 1024, UINT64_C(1) << 40, &c->rate.bytes, err) == 0
               ? 0
               : err_in(err, "rate, bytes a second");
}

static int take_iops(struct disk_config *c, const char *value, struct err *err)
{
    char *end;

    errno = 0;
    c->rate.operations = strtoull(value, &end, 10);
    if (value[0] < '1' || value[0] > '9' || *end || errno || c->rate.operations > 1000000000)
        return err_set(err, "iops: '%.32s' is not a number from 1 to 1000000000", value);
    return 0;
}

static int take_burst(struct disk_config *c, const char *value, struct err *err)
{
    return parse_duration(value, 1000000, UINT64_C(3600000000000), &c->rate.burst_ns, err) == 0
               ? 0
               : err_in(err, "burst");
}

static const struct word words[] = {{"ro", false, take_ro},          {"id", true, take_id},
                                    {"overlay", true, take_overlay}, {"rate", true, take_rate},
                                    {"iops", true, take_iops},       {"burst", true, take_burst}};

/* The part of the list that *at points to, which ends there; *at goes on to the next, NULL after
 * the last. Two commas are one of the part's own. */
static char *next_part(char **at)
{
    char *part = *at, *to = part, *from = part;

    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *at = *from ? from + 1 : NULL;
    *to = '\0';
    return part;
}

static int take_part(struct disk_config *c, char *part, struct err *err)
{
    char *value = strchr(part, '=');

    if (value)
        *value++ = '\0';
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, part) != 0)
            continue;
        if (words[i].has_value != (value != NULL))
            return err_set(err, "%s %s", part, value ? "takes no value" : "needs a value");
        return words[i].take(c, value, err);
    }
    return err_set(err,
                   "'%.64s' is none of ro, id=, overlay=, rate=, iops= and burst= (a comma in "
                   "FILE is written twice)",
                   part);
}

int disk_config_parse(struct disk_config *c, const char *text, struct err *err)
{
    char *rest = strdup(text);

    if (!rest)
        return err_sys(err, "options");
    *c = (struct disk_config){.path = next_part(&rest), .id = ""};
    if (!c->path[0])
        return err_set(err, "which FILE?");
    while (rest) {
        if (take_part(c, next_part(&rest), err) != 0)
            return -1;
    }
    if (c->read_only && c->overlay)
        return err_set(err, "with ro nothing is written: an overlay would stay empty");
    if (c->rate.burst_ns && !c->rate.bytes && !c->rate.operations)
        return err_set(err, "burst is of a limit: rate= or iops=");
    return 0;
}
