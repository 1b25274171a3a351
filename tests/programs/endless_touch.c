/*
 * Puts a routine without end into the platform page, where monitors look for the one that reaches
 * pages (abi/platform.h, `touch`): the kernel is in the program's address space. Says "up"; for a
 * line of input, how often the routine was begun, and ends.
 */
#include <stdint.h>
#include <stdio.h>

#include "abi/memory_map.h"
#include "abi/platform.h"

static volatile uint64_t begun;

void endless(void);
__asm__(".globl endless\n"
        "endless:\n"
        "    incq begun(%rip)\n"
        "1:  jmp 1b\n");

int main(void)
{
    volatile struct samara_platform *page = (void *)(SAMARA_WINDOW + SAMARA_GPA_PLATFORM);
    char line[8];

    page->touch = (uintptr_t)endless;
    puts("up");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return 1;
    printf("runs %llu\n", (unsigned long long)begun);
    return 0;
}
