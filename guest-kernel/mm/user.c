#include "guest-kernel/mm/user.h"

#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"

int copy_from_user(void *dst, u64 src, size_t len)
{
    if (user_prepare(src, len, false) != 0)
        return -EFAULT;
    memcpy(dst, user_pointer(src), len);
    return 0;
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
    if (user_prepare(dst, len, true) != 0)
        return -EFAULT;
    memcpy(user_pointer(dst), src, len);
    return 0;
}

long user_string(char *dst, u64 src, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t part = MIN(size - done, PAGE_SIZE - src % PAGE_SIZE);

        if (user_prepare(src, part, false) != 0)
            return -EFAULT;
        const char *from = user_pointer(src);
        const char *nul = memchr(from, 0, part);
        size_t length = nul ? (size_t)(nul - from) + 1 : part;

        memcpy(dst + done, from, length);
        done += length;
        if (nul)
            return (long)(done - 1);
        src += part;
    }
    return -ENAMETOOLONG;
}
