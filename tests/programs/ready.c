/* Says that it is ready, then what it is, by the header that users have; and once more. */
#include <stdio.h>

#include "abi/samara_sdk.h"

static const char *name_of(enum samara_ready is)
{
    switch (is) {
    case SAMARA_SOURCE:
        return "source";
    case SAMARA_CLONE:
        return "clone";
    case SAMARA_FAILED:
        return "failed";
    default:
        return "nobody";
    }
}

int main(void)
{
    puts(name_of(samara_ready()));
    puts(name_of(samara_ready()));
    return 0;
}
