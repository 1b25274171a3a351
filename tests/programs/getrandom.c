/* Random numbers arrive, differ, and come in the sizes asked for. */
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

static int seems_random(const unsigned char *p, size_t n)
{
    size_t ones = 0;

    for (size_t i = 0; i < n; i++)
        ones += (size_t)__builtin_popcount(p[i]);
    return ones > n * 8 * 45 / 100 && ones < n * 8 * 55 / 100;
}

int main(void)
{
    static unsigned char a[4096], b[4096];
    const void *at_random = (const void *)getauxval(AT_RANDOM);
    static const unsigned char zero[16];

    printf("lengths %d %d\n", (int)getrandom(a, sizeof(a), 0), (int)getrandom(b, sizeof(b), 0));
    printf("nonblocking %d\n", (int)getrandom(a, 16, GRND_NONBLOCK));
    printf("differ %d\n", memcmp(a, b, sizeof(a)) != 0);
    printf("random %d %d\n", seems_random(a, sizeof(a)), seems_random(b, sizeof(b)));
    printf("AT_RANDOM %d\n", at_random && memcmp(at_random, zero, 16) != 0);
    return 0;
}
