/* Prints a line and dies of an instruction that does not exist. */
#include <unistd.h>

int main(void)
{
    if (write(1, "before\n", 7) != 7)
        return 2;
    __asm__ volatile("ud2");
    return 0;
}
