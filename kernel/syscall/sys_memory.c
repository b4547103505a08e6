/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) and its family. */
#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "arch/x86_64/layout.h"
#include "file/fdtable.h"
#include "file/file.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "syscall/syscalls.h"
#include "vm/map.h"

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

/* Page-aligned start and rounded length, within the address space. */
static int check_range(uint64_t addr, uint64_t *len, int bad)
{
    if (addr & ~PAGE_MASK)
        return -EINVAL;
    uint64_t n = ALIGN_UP(*len, PAGE_SIZE);
    if (n < *len || addr >= USER_END || n > USER_END - addr)
        return bad;
    *len = n;
    return 0;
}

/* The object of a descriptor, and what a mapping of it may be given. */
static int object_of_fd(int fd, int prot, unsigned flags, struct vm_object **obj,
                        uint32_t *max_prot)
{
    struct file *f;
    int err = fd_get(process.fds, fd, &f);
    if (err)
        return err;
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    *max_prot = PROT_ALL & ~(shared && !file_writable(f) ? PROT_WRITE : 0);
    if (!file_readable(f) || prot & ~*max_prot & PROT_ALL)
        err = -EACCES;
    else
        err = f->ops->mmap ? f->ops->mmap(f, obj) : -ENODEV;
    file_put(f);
    return err;
}

long sys_mmap(struct uptr addr, unsigned long len, int prot, unsigned flags, int fd, int64_t offset)
{
    struct vm_object *obj = NULL;
    uint32_t max_prot = PROT_ALL;
    unsigned type = flags & MAP_TYPE;
    int err = 0;
    if (offset & ~PAGE_MASK)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS))
        err = object_of_fd(fd, prot, flags, &obj, &max_prot);
    else if (flags & MAP_HUGETLB)
        err = -ENOMEM;
    if (err)
        return err;
    uint64_t n = ALIGN_UP(len, PAGE_SIZE), at = addr.addr;
    if (!len || (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
        err = -EINVAL;
    else if (n < len || n > USER_END)
        err = -ENOMEM;
    else if (obj && (uint64_t)offset + n < n)
        err = -EOVERFLOW;
    else
        err = vm_map(&at, n, (uint32_t)prot, flags, max_prot, obj, (uint64_t)offset >> PAGE_SHIFT);
    if (obj)
        obj->ops->put(obj);
    return err ? err : (long)at;
}

long sys_munmap(struct uptr addr, unsigned long len)
{
    int err = check_range(addr.addr, &len, -EINVAL);
    return err ? err : !len ? -EINVAL : vm_unmap(addr.addr, len);
}

long sys_mprotect(struct uptr addr, unsigned long len, int prot)
{
    int err = check_range(addr.addr, &len, -ENOMEM);
    if (err || !len)
        return err;
    if (prot & ~(PROT_ALL | PROT_GROWSDOWN | PROT_GROWSUP | PROT_SEM))
        return -EINVAL;
    return vm_protect(addr.addr, len, (uint32_t)prot);
}

long sys_brk(struct uptr addr)
{
    return (long)vm_set_brk(addr.addr);
}

long sys_mremap(struct uptr addr, unsigned long old_len, unsigned long new_len, unsigned flags,
                struct uptr new_addr)
{
    uint64_t at = addr.addr;
    if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
        return -EINVAL;
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if (flags & MREMAP_DONTUNMAP && old_len != new_len)
        return -EINVAL;
    int err = check_range(at, &old_len, -EINVAL);
    if (!err && (!new_len || new_len > USER_END))
        err = -EINVAL;
    new_len = ALIGN_UP(new_len, PAGE_SIZE);
    if (!err && flags & MREMAP_FIXED) {
        uint64_t to = new_addr.addr;
        err = check_range(to, &new_len, -EINVAL);
        if (!err && to < at + old_len && at < to + new_len)
            err = -EINVAL;
    }
    if (!err)
        err = vm_remap(&at, old_len, new_len, flags, new_addr.addr);
    return err ? err : (long)at;
}

long sys_madvise(struct uptr addr, unsigned long len, int advice)
{
    int err = check_range(addr.addr, &len, -EINVAL);
    if (err)
        return err;
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_FREE:
        return len ? vm_discard(addr.addr, len) : 0;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return len ? vm_populate(addr.addr, len, advice == MADV_POPULATE_WRITE) : 0;
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return len ? vm_check_mapped(addr.addr, len) : 0; /* advice on what we do not do anyway */
    default:
        return -EINVAL;
    }
}

long sys_msync(struct uptr addr, unsigned long len, unsigned flags)
{
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || (flags & MS_ASYNC && flags & MS_SYNC))
        return -EINVAL;
    int err = check_range(addr.addr, &len, -ENOMEM);
    return err || !len ? err : vm_check_mapped(addr.addr, len);
}

long sys_mincore(struct uptr addr, unsigned long len, struct uptr vec)
{
    uint8_t part[256];
    int err = check_range(addr.addr, &len, -ENOMEM);
    for (uint64_t page = 0; page < len >> PAGE_SHIFT && !err; page += sizeof part) {
        size_t n = MIN((len >> PAGE_SHIFT) - page, sizeof part);
        err = vm_resident(addr.addr + (page << PAGE_SHIFT), n, part);
        if (!err)
            err = copy_to_user(uptr_add(vec, page), part, n);
    }
    return err;
}

static long lock_range(uint64_t addr, uint64_t len)
{
    len += addr & ~PAGE_MASK;
    addr &= PAGE_MASK;
    int err = check_range(addr, &len, -ENOMEM);
    if (!err && len)
        err = vm_check_mapped(addr, len);
    if (!err && len && vm_populate(addr, len, true) == -ENOMEM)
        err = -ENOMEM;
    return err;
}

long sys_mlock(struct uptr addr, unsigned long len)
{
    return lock_range(addr.addr, len);
}

long sys_mlock2(struct uptr addr, unsigned long len, unsigned flags)
{
    if (flags & ~(unsigned)MLOCK_ONFAULT)
        return -EINVAL;
    return flags ? 0 : lock_range(addr.addr, len);
}

long sys_munlock(struct uptr addr, unsigned long len)
{
    len += addr.addr & ~PAGE_MASK;
    int err = check_range(addr.addr & PAGE_MASK, &len, -ENOMEM);
    return err || !len ? err : vm_check_mapped(addr.addr & PAGE_MASK, len);
}

long sys_mlockall(unsigned flags)
{
    return !flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT
               ? -EINVAL
               : 0;
}

long sys_munlockall(void)
{
    return 0;
}
