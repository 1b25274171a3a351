/* Prints a line and dies of a store to an address that is not mapped. */
#include <unistd.h>

int main(void)
{
    volatile int *volatile nowhere = (int *)16;

    if (write(1, "before\n", 7) != 7)
        return 2;
    *nowhere = 1;
    return 0;
}
