/* fork is what a guest with one program cannot do: it must fail with ENOSYS and harm nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    if (child > 0) {
        puts("forked");
        return 1;
    }
    printf("fork: %s\n", errno == ENOSYS ? "ENOSYS" : strerror(errno));
    return errno == ENOSYS ? 0 : 1;
}
