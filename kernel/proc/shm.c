/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory: see shm.h. Main structs: segment, attachment. A mapping
 * that the program unmapped by munmap() is still on the list of attachments until
 * somebody counts: each is compared with what is mapped at its address now.
 */
#include "proc/shm.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "fs/tmpfs.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "sched/clock.h"
#include "vm/map.h"

#define ID_STEP  32768 /* identifiers of one place differ by this */
#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

struct attachment {
    struct list link; /* segment.attachments */
    uint64_t at;
};

struct segment {
    struct shmid64_ds ds; /* shm_nattch is counted when it is asked for */
    struct vnode *v;      /* referenced */
    int id;
    bool removed;
    struct list attachments;
};

static struct mutex shm_lock = MUTEX_INIT(shm_lock);
static struct { /* all zero, so that it takes no room in the kernel's file */
    struct segment *segment[SHM_IDS];
    unsigned generation[SHM_IDS]; /* of the identifiers of a place */
} shm;

static int64_t seconds(void)
{
    return (int64_t)(clock_wall() / NSEC_PER_SEC);
}

/* The attachments that are still mapped; the others are forgotten. */
static unsigned attached(struct segment *s)
{
    unsigned n = 0;
    for (struct list *l = s->attachments.next, *next; l != &s->attachments; l = next) {
        struct attachment *a = LIST_ENTRY(l, struct attachment, link);
        struct vma now;
        next = l->next;
        if (vm_lookup(a->at, &now) && now.object == &s->v->cache.object) {
            n++;
            continue;
        }
        list_remove(l);
        kfree(a);
    }
    return n;
}

/* Frees a removed segment that nobody uses. */
static void settle(struct segment *s)
{
    if (!s->removed || attached(s))
        return;
    unsigned place = (unsigned)s->id % ID_STEP;
    shm.segment[place] = NULL;
    shm.generation[place] = (shm.generation[place] + 1) % (INT32_MAX / ID_STEP);
    vnode_put(s->v);
    kfree(s);
}

static struct segment *segment_of(int id)
{
    unsigned place = (unsigned)id % ID_STEP;
    struct segment *s = id >= 0 && place < SHM_IDS ? shm.segment[place] : NULL;
    if (s)
        settle(s);
    s = s ? shm.segment[place] : NULL;
    return s && s->id == id ? s : NULL;
}

/* Whether the process may use it so: bits as in a file's mode for others. */
static bool allowed(const struct segment *s, unsigned wanted)
{
    unsigned mode = s->ds.shm_perm.mode;
    if (process_privileged())
        return true;
    if (process.euid == s->ds.shm_perm.uid || process.euid == s->ds.shm_perm.cuid)
        mode >>= 6;
    else if (process.egid == s->ds.shm_perm.gid || process.egid == s->ds.shm_perm.cgid)
        mode >>= 3;
    return (wanted & ~mode) == 0;
}

static bool owned(const struct segment *s)
{
    return process_privileged() || process.euid == s->ds.shm_perm.uid ||
           process.euid == s->ds.shm_perm.cuid;
}

static int create(int key, uint64_t size, int flags)
{
    unsigned place = 0;
    while (place < SHM_IDS && shm.segment[place])
        place++;
    if (!size || size > INT64_MAX)
        return -EINVAL;
    if (place == SHM_IDS)
        return -ENOSPC;
    if (!(flags & SHM_NORESERVE) && vm_overcommits(size))
        return -ENOMEM;
    struct segment *s = kzalloc(sizeof *s);
    int err = s ? tmpfs_anonymous("/SYSV", 0777, size, &s->v) : -ENOMEM;
    if (err) {
        kfree(s);
        return err;
    }
    s->id = (int)(shm.generation[place] * ID_STEP + place);
    list_init(&s->attachments);
    s->ds = (struct shmid64_ds){.shm_segsz = size, .shm_ctime = seconds(), .shm_cpid = PROCESS_PID};
    s->ds.shm_perm.key = key;
    s->ds.shm_perm.uid = s->ds.shm_perm.cuid = process.euid;
    s->ds.shm_perm.gid = s->ds.shm_perm.cgid = process.egid;
    s->ds.shm_perm.mode = (unsigned)flags & 0777;
    s->ds.shm_perm.seq = (unsigned short)shm.generation[place];
    shm.segment[place] = s;
    return s->id;
}

static int find(int key, uint64_t size, int flags)
{
    for (unsigned i = 0; i < SHM_IDS; i++) {
        struct segment *s = shm.segment[i];
        if (s)
            settle(s);
        s = shm.segment[i];
        if (!s || s->removed || s->ds.shm_perm.key != key)
            continue;
        if (flags & IPC_CREAT && flags & IPC_EXCL)
            return -EEXIST;
        if (!allowed(s, (unsigned)flags & 7) || !allowed(s, (unsigned)flags >> 3 & 7) ||
            !allowed(s, (unsigned)flags >> 6 & 7))
            return -EACCES;
        return size > s->ds.shm_segsz ? -EINVAL : s->id;
    }
    return flags & IPC_CREAT ? create(key, size, flags) : -ENOENT;
}

int shm_get(int key, uint64_t size, int flags)
{
    mutex_lock(&shm_lock);
    int id = key == IPC_PRIVATE ? create(key, size, flags) : find(key, size, flags);
    mutex_unlock(&shm_lock);
    return id;
}

/* The address for an attachment, and how it is mapped; 0 or -EINVAL. */
static int place(uint64_t *at, int flags, uint32_t *map)
{
    *map = MAP_SHARED;
    if (!*at)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (*at & ~PAGE_MASK) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        *at &= PAGE_MASK;
        if (!*at && flags & SHM_REMAP)
            return -EINVAL;
    }
    *map |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    return 0;
}

static int attach(struct segment *s, uint64_t *at, int flags)
{
    uint32_t prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE);
    uint32_t map;
    unsigned wanted = flags & SHM_RDONLY ? 4 : 6;
    if (flags & SHM_EXEC) {
        prot |= PROT_EXEC;
        wanted |= 1;
    }
    int err = place(at, flags, &map);
    if (err)
        return err;
    if (!allowed(s, wanted))
        return -EACCES;
    struct attachment *a = kmalloc(sizeof *a);
    if (!a)
        return -ENOMEM;
    err = vm_map(at, ALIGN_UP(s->ds.shm_segsz, PAGE_SIZE), prot, map, PROT_ALL, &s->v->cache.object,
                 0);
    if (err) {
        kfree(a);
        return err == -EEXIST ? -EINVAL : err;
    }
    a->at = *at;
    list_add_tail(&s->attachments, &a->link);
    s->ds.shm_atime = seconds();
    s->ds.shm_lpid = PROCESS_PID;
    return 0;
}

int shm_attach(int id, uint64_t *at, int flags)
{
    mutex_lock(&shm_lock);
    struct segment *s = segment_of(id);
    int err = s ? attach(s, at, flags) : -EINVAL;
    mutex_unlock(&shm_lock);
    return err;
}

static int detach(struct segment *s, uint64_t at)
{
    LIST_FOR_EACH(l, &s->attachments)
    {
        struct attachment *a = LIST_ENTRY(l, struct attachment, link);
        if (a->at != at)
            continue;
        int err = vm_unmap(at, ALIGN_UP(s->ds.shm_segsz, PAGE_SIZE));
        s->ds.shm_dtime = seconds();
        s->ds.shm_lpid = PROCESS_PID;
        settle(s);
        return err;
    }
    return -EINVAL;
}

int shm_detach(uint64_t at)
{
    int err = -EINVAL;
    mutex_lock(&shm_lock);
    for (unsigned i = 0; i < SHM_IDS && err == -EINVAL; i++)
        if (shm.segment[i] && attached(shm.segment[i]))
            err = detach(shm.segment[i], at);
    mutex_unlock(&shm_lock);
    return err;
}

int shm_stat(int id, bool by_index, bool any, struct shmid64_ds *out)
{
    mutex_lock(&shm_lock);
    if (by_index)
        id = id >= 0 && id < SHM_IDS && shm.segment[id] ? shm.segment[id]->id : -1;
    struct segment *s = segment_of(id);
    int err = !s ? -EINVAL : !any && !allowed(s, 4) ? -EACCES : 0;
    if (!err) {
        *out = s->ds;
        out->shm_nattch = attached(s);
    }
    mutex_unlock(&shm_lock);
    return err ? err : id;
}

int shm_set(int id, const struct shmid64_ds *ds)
{
    mutex_lock(&shm_lock);
    struct segment *s = segment_of(id);
    int err = !s ? -EINVAL : owned(s) ? 0 : -EPERM;
    if (!err) {
        s->ds.shm_perm.uid = ds->shm_perm.uid;
        s->ds.shm_perm.gid = ds->shm_perm.gid;
        s->ds.shm_perm.mode = (s->ds.shm_perm.mode & ~0777u) | (ds->shm_perm.mode & 0777);
        s->ds.shm_ctime = seconds();
    }
    mutex_unlock(&shm_lock);
    return err;
}

int shm_remove(int id)
{
    mutex_lock(&shm_lock);
    struct segment *s = segment_of(id);
    int err = !s ? -EINVAL : owned(s) ? 0 : -EPERM;
    if (!err) {
        s->removed = true;
        s->ds.shm_perm.mode |= SHM_DEST;
        s->ds.shm_perm.key = IPC_PRIVATE;
        settle(s);
    }
    mutex_unlock(&shm_lock);
    return err;
}

void shm_total(struct shm_totals *out)
{
    *out = (struct shm_totals){.top = -1};
    mutex_lock(&shm_lock);
    for (int i = 0; i < SHM_IDS; i++) {
        const struct segment *s = shm.segment[i];
        if (!s)
            continue;
        out->segments++;
        out->top = i;
        out->pages += ALIGN_UP(s->ds.shm_segsz, PAGE_SIZE) >> PAGE_SHIFT;
        out->resident += s->v->cache.count;
    }
    mutex_unlock(&shm_lock);
}
