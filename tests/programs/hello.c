/* The least a program can do: one write. */
#include <unistd.h>

int main(void)
{
    static const char text[] = "hello from a static program\n";

    return write(1, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1 ? 0 : 1;
}
