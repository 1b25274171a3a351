/* Says that it is up, then does nothing: the idle sandbox whose memory is measured. */
#include <unistd.h>

int main(void)
{
    if (write(STDOUT_FILENO, "hello\n", 6) != 6)
        return 1;
    for (;;)
        pause();
}
