/* wc -c with a 64 KiB buffer: counts the bytes of stdin, so that a lost one is noticed. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    static char buffer[64 << 10];
    unsigned long long total = 0;
    ssize_t got;

    while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
        total += (unsigned long long)got;
    if (got < 0)
        return 1;
    printf("%llu\n", total);
    return 0;
}
