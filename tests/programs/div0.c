/* Prints a line and dies of a division by zero. */
#include <unistd.h>

int main(void)
{
    volatile int one = 1, zero = 0;

    if (write(1, "before\n", 7) != 7)
        return 2;
    return one / zero;
}
