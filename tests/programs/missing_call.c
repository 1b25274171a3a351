/* Makes a system call the guest kernel does not have, twice, and expects ENOSYS both times. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    for (int i = 0; i < 2; i++) {
        if (syscall(SYS_io_uring_setup, 8, NULL) != -1 || errno != ENOSYS)
            return 1;
    }
    puts("both answered ENOSYS");
    return 0;
}
