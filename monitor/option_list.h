/* Options whose value is a list, as --disk FILE,ro,id=NAME: words between commas, most of them with
 * a value. */
#ifndef SAMARA_MONITOR_OPTION_LIST_H
#define SAMARA_MONITOR_OPTION_LIST_H

#include "devices/rate.h"
#include "monitor/err.h"

enum list_kind { LIST_BARE, LIST_VALUE, LIST_VALUES /* may be there more than once */ };

/* One word of a list: take puts it into config, with its value or NULL. -1 with err. */
struct list_word {
    const char *name;
    enum list_kind kind;
    int (*take)(void *config, const char *value, struct err *err);
};

struct list_words {
    const struct list_word *of;
    unsigned count;
    const char *all; /* what they are, for who wrote another one */
};

/* The part of the list that *at points to, which is ended there; *at goes on to the next, NULL
 * after the last. Two commas are one of the part's own. */
char *list_next(char **at);

/* Cuts NAME=VALUE into two. The value, or NULL if there is none. */
char *list_value(char *part);

/* Takes all that is left of a list; up to 32 words are known. */
int list_take(char *rest, const struct list_words *words, void *config, struct err *err);

/* The words rate=, iops= and burst=; and, once all are taken, whether they go together. */
int list_take_rate(struct rate_config *rate, const char *value, struct err *err);
int list_take_iops(struct rate_config *rate, const char *value, struct err *err);
int list_take_burst(struct rate_config *rate, const char *value, struct err *err);
int list_check_rate(const struct rate_config *rate, struct err *err);

#endif
