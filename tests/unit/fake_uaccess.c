/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-ins for vm/: user memory is the test's own; fake_bad_user makes one address fault. */
#include <errno.h>
#include <string.h>

#include "vm/huge.h"
#include "vm/map.h"
#include "vm/uaccess.h"

uint64_t fake_bad_user; /* bytes at and above it give -EFAULT; 0: none do */

static bool bad(uint64_t addr, size_t n)
{
    return fake_bad_user && addr + n > fake_bad_user;
}

int copy_from_user(void *dst, struct uptr src, size_t n)
{
    if (bad(src.addr, n))
        return -EFAULT;
    memcpy(dst, (void *)src.addr, n);
    return 0;
}

int copy_to_user(struct uptr dst, const void *src, size_t n)
{
    if (bad(dst.addr, n))
        return -EFAULT;
    memcpy((void *)dst.addr, src, n);
    return 0;
}

int zero_user(struct uptr dst, size_t n)
{
    if (bad(dst.addr, n))
        return -EFAULT;
    memset((void *)dst.addr, 0, n);
    return 0;
}

uint64_t huge_bytes(void)
{
    return 0;
}

/* Nothing is mapped in a unit test. */
void vm_forget_object(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    (void)obj, (void)from, (void)to;
}

void vm_forget_hole(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    (void)obj, (void)from, (void)to;
}

void vm_protect_object(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    (void)obj, (void)from, (void)to;
}

bool vm_object_mapped(const struct vm_object *obj)
{
    (void)obj;
    return false;
}

bool vm_object_writable(const struct vm_object *obj)
{
    (void)obj;
    return false;
}
