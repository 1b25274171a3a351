/* See option_list.h. */
#include "monitor/option_list.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/units.h"

char *list_next(char **at)
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

char *list_value(char *part)
{
    char *value = strchr(part, '=');

    if (value)
        *value++ = '\0';
    return value;
}

/* seen: a bit for each word there has been. */
static int take_part(char *part, const struct list_words *words, uint32_t *seen, void *config,
                     struct err *err)
{
    const char *value = list_value(part);

    for (unsigned i = 0; i < words->count; i++) {
        const struct list_word *word = &words->of[i];

        if (strcmp(word->name, part) != 0)
            continue;
        if ((word->kind == LIST_BARE) != (value == NULL))
            return err_set(err, "%s %s", part, value ? "takes no value" : "needs a value");
        if (*seen & 1u << i && word->kind != LIST_VALUES)
            return err_set(err, "%s is there twice", part);
        *seen |= 1u << i;
        return word->take(config, value, err);
    }
    return err_set(err, "'%.64s' is none of %s", part, words->all);
}

int list_take(char *rest, const struct list_words *words, void *config, struct err *err)
{
    uint32_t seen = 0;

    while (rest) {
        if (take_part(list_next(&rest), words, &seen, config, err) != 0)
            return -1;
    }
    return 0;
}

/* --- limits --- */

int list_take_rate(struct rate_config *rate, const char *value, struct err *err)
{
    return parse_size(value, 1024, UINT64_C(1) << 40, &rate->bytes, err) == 0
               ? 0
               : err_in(err, "rate, bytes a second");
}

int list_take_iops(struct rate_config *rate, const char *value, struct err *err)
{
    char *end;

    errno = 0;
    rate->operations = strtoull(value, &end, 10);
    if (value[0] < '1' || value[0] > '9' || *end || errno || rate->operations > 1000000000)
        return err_set(err, "iops: '%.32s' is not a number from 1 to 1000000000", value);
    return 0;
}

int list_take_burst(struct rate_config *rate, const char *value, struct err *err)
{
    return parse_duration(value, 1000000, UINT64_C(3600000000000), &rate->burst_ns, err) == 0
               ? 0
               : err_in(err, "burst");
}

int list_check_rate(const struct rate_config *rate, struct err *err)
{
    if (rate->burst_ns && !rate->bytes && !rate->operations)
        return err_set(err, "burst is of a limit: rate= or iops=");
    return 0;
}
