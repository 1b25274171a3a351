/* Sets its terminal's modes as an editor does, throws away what was typed before, and waits for a
 * line. */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

int main(void)
{
    struct termios found, modes;
    char line[64];

    if (tcgetattr(0, &found) != 0)
        return 1;
    modes = found;
    modes.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(0, TCSANOW, &modes) != 0 || tcsetattr(0, TCSAFLUSH, &modes) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    if (read(0, line, sizeof(line)) <= 0)
        return 1;
    return tcsetattr(0, TCSADRAIN, &found) != 0;
}
