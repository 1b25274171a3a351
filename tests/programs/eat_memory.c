/* Touches memory until there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    for (unsigned mib = 0;; mib++) {
        char *p = malloc(1 << 20);

        if (!p)
            break;
        memset(p, (int)mib + 1, 1 << 20);
    }
    puts("malloc said no");
    return 0;
}
