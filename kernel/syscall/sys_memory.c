/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) and its family. */
#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "arch/x86_64/layout.h"
#include "file/fdtable.h"
#include "file/file.h"
#include "fs/tmpfs.h"
#include "fs/vnode.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "syscall/syscalls.h"
#include "vm/huge.h"
#include "vm/map.h"
#include "vm/range.h"
#include "vm/remap.h"

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)
/* What MAP_SHARED_VALIDATE lets pass (LEGACY_MAP_MASK of Linux). */
#define MAP_KNOWN                                                                                  \
    (unsigned)(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |             \
               MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |     \
               MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_FIXED_NOREPLACE)

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
    if (!err && shared && f->vnode && f->vnode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
        *max_prot &= ~(uint32_t)PROT_WRITE;
        if (prot & PROT_WRITE) {
            (*obj)->ops->put(*obj);
            *obj = NULL;
            err = -EPERM;
        }
    }
    file_put(f);
    return err;
}

/* Shared memory without a file is a file without a name. */
static int object_shared(uint64_t len, unsigned flags, struct vm_object **obj)
{
    struct vnode *v;
    if (!(flags & MAP_NORESERVE) && vm_overcommits(len))
        return -ENOMEM;
    int err = tmpfs_anonymous("/dev/zero", 0777, len, &v);
    if (!err)
        *obj = &v->cache.object;
    return err;
}

static bool type_known(unsigned type, bool anonymous)
{
    return type == MAP_PRIVATE || type == MAP_SHARED || (type == MAP_SHARED_VALIDATE && !anonymous);
}

long sys_mmap(struct uptr addr, unsigned long len, int prot, unsigned flags, int fd, int64_t offset)
{
    struct vm_object *obj = NULL;
    uint32_t max_prot = PROT_ALL;
    unsigned type = flags & MAP_TYPE;
    uint64_t n = ALIGN_UP(len, PAGE_SIZE), at = addr.addr;
    int err = 0;
    if (offset & ~PAGE_MASK)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS))
        err = object_of_fd(fd, prot, flags, &obj, &max_prot);
    else if (flags & MAP_HUGETLB)
        err = -ENOMEM;
    if (err)
        return err;
    if (!len || !type_known(type, flags & MAP_ANONYMOUS))
        err = -EINVAL;
    else if (n < len || n > USER_END)
        err = -ENOMEM;
    else if (obj && (uint64_t)offset + n < n)
        err = -EOVERFLOW;
    else if (type == MAP_SHARED_VALIDATE && flags & ~MAP_KNOWN)
        err = -EOPNOTSUPP;
    else if (!obj && type != MAP_PRIVATE)
        err = object_shared(n, flags, &obj);
    if (!err)
        err = vm_map(&at, n, (uint32_t)prot, flags, max_prot, obj,
                     flags & MAP_ANONYMOUS ? 0 : (uint64_t)offset >> PAGE_SHIFT);
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
    if (prot & ~(PROT_ALL | PROT_GROWSDOWN | PROT_SEM)) /* nothing grows upwards here */
        return -EINVAL;
    return vm_protect(addr.addr, len, (uint32_t)prot);
}

/* Protection keys: this CPU's are off (XCR0 has no PKRU), as on most machines; only key 0 exists.
 */
long sys_pkey_mprotect(struct uptr addr, unsigned long len, int prot, int key)
{
    return key < -1 || key > 0 ? -EINVAL : sys_mprotect(addr, len, prot);
}

long sys_pkey_alloc(unsigned long flags, unsigned long rights)
{
    return flags || rights & ~(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE) ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(int key)
{
    return key ? -EINVAL : 0;
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

/* Advice on what we do not do anyway: right if Linux would take it for this range. */
static int madvise_hint(uint64_t addr, uint64_t len, int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_KEEPONFORK:
        return vm_check_hint(addr, len, 0, false);
    case MADV_WIPEONFORK:
        return vm_check_hint(addr, len, VMA_SHARED, true);
    case MADV_COLD:
    case MADV_PAGEOUT:
        return vm_check_hint(addr, len, VMA_LOCKED, false);
    default:
        return -EINVAL;
    }
}

static int madvise(uint64_t addr, uint64_t len, int advice)
{
    switch (advice) {
    case MADV_DONTNEED:
        return vm_discard(addr, len, DISCARD_NEEDED);
    case MADV_DONTNEED_LOCKED:
        return vm_discard(addr, len, DISCARD_LOCKED);
    case MADV_FREE:
        return vm_discard(addr, len, DISCARD_FREE);
    case MADV_POPULATE_READ:
        return vm_populate(addr, len, POPULATE_READ);
    case MADV_POPULATE_WRITE:
        return vm_populate(addr, len, POPULATE_WRITE);
    case MADV_REMOVE:
        return vm_punch(addr, len);
    case MADV_HUGEPAGE:
        return vm_change_flags(addr, len, VMA_HUGE, VMA_NOHUGE);
    case MADV_NOHUGEPAGE:
        return vm_change_flags(addr, len, VMA_NOHUGE, VMA_HUGE);
    case MADV_COLLAPSE:
        return vm_collapse(addr, len);
    case MADV_DONTDUMP:
        return vm_change_flags(addr, len, VMA_DONTDUMP, 0);
    case MADV_DODUMP:
        return vm_change_flags(addr, len, 0, VMA_DONTDUMP);
    default:
        return madvise_hint(addr, len, advice);
    }
}

/* An empty range: only the advice is checked. */
static bool advice_known(int advice)
{
    return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) || advice == MADV_FREE ||
           (advice >= MADV_REMOVE && advice <= MADV_COLLAPSE);
}

long sys_madvise(struct uptr addr, unsigned long len, int advice)
{
    int err = check_range(addr.addr, &len, -EINVAL);
    if (err)
        return err;
    return len ? madvise(addr.addr, len, advice) : advice_known(advice) ? 0 : -EINVAL;
}

long sys_msync(struct uptr addr, unsigned long len, unsigned flags)
{
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || (flags & MS_ASYNC && flags & MS_SYNC))
        return -EINVAL;
    int err = check_range(addr.addr, &len, -ENOMEM);
    if (err || !len)
        return err;
    return vm_sync(addr.addr, len, flags);
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

/* Rounds a range of mlock to pages; RLIMIT_MEMLOCK counts for those without privilege. */
static int lock_check(uint64_t *addr, uint64_t *len, bool adds)
{
    uint64_t limit = process.limits[RLIMIT_MEMLOCK].soft;
    *len += *addr & ~PAGE_MASK;
    *addr &= PAGE_MASK;
    if (adds && !process_privileged() && !limit)
        return -EPERM;
    int err = check_range(*addr, len, adds ? -ENOMEM : -EINVAL);
    if (!err && adds && !process_privileged() && vm.locked + *len > limit)
        err = -ENOMEM;
    return err;
}

static long lock_range(uint64_t addr, uint64_t len, bool populate)
{
    int err = lock_check(&addr, &len, true);
    if (err || !len)
        return err;
    err = vm_change_flags(addr, len, VMA_LOCKED, 0);
    if (!err && populate)
        err = vm_populate(addr, len, POPULATE_ALLOWED);
    return err == -EFAULT ? -ENOMEM : err;
}

long sys_mlock(struct uptr addr, unsigned long len)
{
    return lock_range(addr.addr, len, true);
}

long sys_mlock2(struct uptr addr, unsigned long len, unsigned flags)
{
    return flags & ~(unsigned)MLOCK_ONFAULT ? -EINVAL : lock_range(addr.addr, len, !flags);
}

long sys_munlock(struct uptr addr, unsigned long len)
{
    int err = lock_check(&addr.addr, &len, false);
    return err || !len ? err : vm_change_flags(addr.addr, len, 0, VMA_LOCKED);
}

long sys_mlockall(unsigned flags)
{
    uint64_t limit = process.limits[RLIMIT_MEMLOCK].soft;
    if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!process_privileged() && (!limit || (flags & MCL_CURRENT && vm.mapped > limit)))
        return limit ? -ENOMEM : -EPERM;
    mutex_lock(&vm.lock);
    vm.future_flags = flags & MCL_FUTURE ? VMA_LOCKED : 0;
    vm.future_populate = flags & MCL_FUTURE && !(flags & MCL_ONFAULT);
    mutex_unlock(&vm.lock);
    if (flags & MCL_CURRENT)
        vm_lock_all(!(flags & MCL_ONFAULT));
    return 0;
}

long sys_munlockall(void)
{
    mutex_lock(&vm.lock);
    vm.future_flags = 0;
    vm.future_populate = false;
    mutex_unlock(&vm.lock);
    vm_change_flags(0, USER_END, 0, VMA_LOCKED);
    return 0;
}
