/* Makes threads until the kernel has no memory for another, then writes more than its queues hold:
 * output needs memory too, and the program still deserves its last words. The threads' stacks are
 * there beforehand, so that it is the kernel's own memory that ends, not a page of the program's.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK = 16384, MOST = 2000 };

static char text[1 << 16];

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

int main(void)
{
    char *stacks = mmap(NULL, (size_t)STACK * MOST, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attr;
    pthread_t thread;
    int made = 0;

    if (stacks == MAP_FAILED)
        return 2;
    memset(stacks, 1, (size_t)STACK * MOST);
    memset(text, 'x', sizeof(text));
    pthread_attr_init(&attr);
    while (made < MOST && pthread_attr_setstack(&attr, stacks + made * STACK, STACK) == 0 &&
           pthread_create(&thread, &attr, sleeper, NULL) == 0)
        made++;
    for (int i = 0; i < 64; i++) {
        if (write(1, text, sizeof(text)) != sizeof(text))
            return 1;
    }
    fprintf(stderr, "%s\n", made < MOST ? "no more threads" : "threads without end");
    return 0;
}
