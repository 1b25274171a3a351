/* stdin to stdout with plain read and write, in pieces of argv[1] bytes (64 KiB), beside a UDP
 * socket at port argv[2] that it does not read from. */
#include <stdlib.h>
#include <unistd.h>
#include "deaf_socket.h"

static int write_all(const char *p, ssize_t n)
{
    while (n > 0) {
        ssize_t done = write(1, p, (size_t)n);

        if (done <= 0)
            return -1;
        p += done;
        n -= done;
    }
    return 0;
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536;
    char *buf = malloc(size);
    ssize_t n;

    if (!buf || (argc > 2 && open_deaf_socket((unsigned)strtoul(argv[2], NULL, 10)) != 0))
        return 2;
    while ((n = read(0, buf, size)) > 0) {
        if (write_all(buf, n) != 0)
            return 1;
    }
    return n == 0 ? 0 : 1;
}
