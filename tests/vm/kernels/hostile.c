/* The hostile kernel: "attack=NAME" among the program's arguments says what it does. See hostile.h.
 */
#include "tests/vm/kernels/hostile.h"

void hostile(const char *tree, size_t size);

static const struct {
    const char *name;
    void (*run)(void);
} attacks[] = {
    {"bad-queues", bad_queues},        {"bad-chains", bad_chains},
    {"bad-requests", bad_requests},    {"reset-midway", reset_midway},
    {"kick", kick_for_ever},           {"reset", reset_for_ever},
    {"costly", costly_for_ever},       {"free", free_for_ever},
    {"frames", frames_for_ever},       {"packets", packets_for_ever},
    {"connections", connect_for_ever}, {"few-connections", connect_few},
};

/* `text` is at `at`, and if `whole`, nothing else. */
static bool begins(const char *at, const char *text, bool whole)
{
    while (*text) {
        if (*at++ != *text++)
            return false;
    }
    return !whole || *at == '\0';
}

/* The arguments are in the device tree as they were given. */
static const char *find_word(const char *tree, size_t size)
{
    static const char word[] = "attack=";

    for (size_t i = 0; i + sizeof(word) < size; i++) {
        if (begins(tree + i, word, false))
            return tree + i + sizeof(word) - 1;
    }
    leave(240);
}

void hostile(const char *tree, size_t size)
{
    const char *name = find_word(tree, size);

    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        if (begins(name, attacks[i].name, true)) {
            attacks[i].run();
            leave(AS_PROMISED);
        }
    }
    leave(241);
}
