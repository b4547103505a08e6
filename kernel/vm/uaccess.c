/* SPDX-License-Identifier: Apache-2.0 */
/* Checked access to user memory, over arch/'s raw copies. */
#include "vm/uaccess.h"

#include <linux/errno.h>

#include "arch/x86_64/usercopy.h"

int copy_from_user(void *dst, struct uptr src, size_t n)
{
    if (!user_range_ok(src, n))
        return n ? -EFAULT : 0;
    return usercopy(dst, (const void *)src.addr, n) ? -EFAULT : 0;
}

int copy_to_user(struct uptr dst, const void *src, size_t n)
{
    if (!user_range_ok(dst, n))
        return n ? -EFAULT : 0;
    return usercopy((void *)dst.addr, src, n) ? -EFAULT : 0;
}

int zero_user(struct uptr dst, size_t n)
{
    if (!user_range_ok(dst, n))
        return n ? -EFAULT : 0;
    return userzero((void *)dst.addr, n) ? -EFAULT : 0;
}

ssize_t string_from_user(char *dst, struct uptr src, size_t max)
{
    if (!user_range_ok(src, 1))
        return -EFAULT;
    size_t room = USER_END - src.addr;
    long n = userstrncpy(dst, (const void *)src.addr, MIN(max, room));
    if (n < 0)
        return -EFAULT;
    if ((size_t)n < MIN(max, room))
        return n;
    return room < max ? -EFAULT : -ENAMETOOLONG;
}
