/* Exits with argv[1]; with a second argument by _exit, so that nothing is flushed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int code = argc > 1 ? atoi(argv[1]) : 0;

    printf("leaving");
    if (argc > 2)
        _exit(code);
    return code;
}
