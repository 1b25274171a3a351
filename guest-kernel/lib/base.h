/* Basic types and macros of the guest kernel. */
#ifndef GUEST_LIB_BASE_H
#define GUEST_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef int32_t i32;
typedef int64_t i64;

#if __STDC_HOSTED__
#include <sys/types.h> /* ssize_t, for the parts that are unit-tested on the host */
#else
typedef long ssize_t;
#endif

#define PAGE_SIZE    4096ul
#define PAGE_SHIFT   12

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#undef MIN
#undef MAX
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
