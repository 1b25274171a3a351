/* See disk_config.h. */
#include "monitor/disk_config.h"

#include <stdlib.h>
#include <string.h>

#include "abi/virtio_blk.h"
#include "monitor/option_list.h"

static int take_ro(void *config, const char *value, struct err *err)
{
    struct disk_config *c = config;

    (void)value;
    (void)err;
    c->read_only = true;
    return 0;
}

static int take_id(void *config, const char *value, struct err *err)
{
    struct disk_config *c = config;

    if (!value[0] || strlen(value) > VIRTIO_BLK_ID_BYTES)
        return err_set(err, "id: 1 to %u characters", VIRTIO_BLK_ID_BYTES);
    c->id = value;
    return 0;
}

static int take_overlay(void *config, const char *value, struct err *err)
{
    struct disk_config *c = config;

    c->overlay = value;
    return value[0] ? 0 : err_set(err, "overlay: which FILE?");
}

static int take_rate(void *config, const char *value, struct err *err)
{
    return list_take_rate(&((struct disk_config *)config)->rate, value, err);
}

static int take_iops(void *config, const char *value, struct err *err)
{
    return list_take_iops(&((struct disk_config *)config)->rate, value, err);
}

static int take_burst(void *config, const char *value, struct err *err)
{
    return list_take_burst(&((struct disk_config *)config)->rate, value, err);
}

static const struct list_word words[] = {{"ro", LIST_BARE, take_ro},
                                         {"id", LIST_VALUE, take_id},
                                         {"overlay", LIST_VALUE, take_overlay},
                                         {"rate", LIST_VALUE, take_rate},
                                         {"iops", LIST_VALUE, take_iops},
                                         {"burst", LIST_VALUE, take_burst}};
static const struct list_words all_words = {
    words, sizeof(words) / sizeof(words[0]),
    "ro, id=, overlay=, rate=, iops= and burst= (a comma in FILE is written twice)"};

int disk_config_parse(struct disk_config *c, const char *text, struct err *err)
{
    char *rest = strdup(text);

    if (!rest)
        return err_sys(err, "options");
    *c = (struct disk_config){.path = list_next(&rest), .id = ""};
    if (!c->path[0])
        return err_set(err, "which FILE?");
    if (list_take(rest, &all_words, c, err) != 0)
        return -1;
    if (c->read_only && c->overlay)
        return err_set(err, "with ro nothing is written: an overlay would stay empty");
    return list_check_rate(&c->rate, err);
}
