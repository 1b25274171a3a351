/* Makes threads until there is no memory for another, then writes more than the kernel's queues
 * hold: output needs memory too, and the program still deserves its last words. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char text[1 << 16];

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

int main(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    int made = 0;

    memset(text, 'x', sizeof(text));
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384);
    while (made < 100000 && pthread_create(&thread, &attr, sleeper, NULL) == 0)
        made++;
    for (int i = 0; i < 64; i++) {
        if (write(1, text, sizeof(text)) != sizeof(text))
            return 1;
    }
    fprintf(stderr, "%s\n", made < 100000 ? "no more threads" : "threads without end");
    return 0;
}
