/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: System V shared memory. */
#include <linux/errno.h>

#include "lib/string.h"
#include "proc/shm.h"
#include "syscall/syscalls.h"
#include "vm/uaccess.h"

long sys_shmget(int key, unsigned long size, unsigned flags)
{
    return shm_get(key, size, (int)flags);
}

long sys_shmat(int id, struct uptr addr, unsigned flags)
{
    uint64_t at = addr.addr;
    int err = shm_attach(id, &at, (int)flags);
    return err ? err : (long)at;
}

long sys_shmdt(struct uptr addr)
{
    return shm_detach(addr.addr);
}

static long stat_out(int id, int cmd, struct uptr buf)
{
    struct shmid64_ds ds;
    int r = shm_stat(id, cmd != IPC_STAT, cmd == SHM_STAT_ANY, &ds);
    if (r < 0)
        return r;
    int err = copy_to_user(buf, &ds, sizeof ds);
    return err ? err : cmd == IPC_STAT ? 0 : r;
}

static long set_in(int id, struct uptr buf)
{
    struct shmid64_ds ds;
    int err = copy_from_user(&ds, buf, sizeof ds);
    return err ? err : shm_set(id, &ds);
}

/* IPC_INFO: the limits; SHM_INFO: what there is. Both tell the highest index in use. */
static long info_out(int cmd, struct uptr buf)
{
    struct shm_totals t;
    shm_total(&t);
    const uint64_t most = UINT64_MAX - (1u << 24); /* as Linux */
    struct shminfo64 limits = {
        .shmmax = most, .shmmin = SHMMIN, .shmmni = SHM_IDS, .shmseg = SHM_IDS, .shmall = most};
    struct shm_info now = {.used_ids = (int)t.segments, .shm_tot = t.pages, .shm_rss = t.resident};
    int err = cmd == IPC_INFO ? copy_to_user(buf, &limits, sizeof limits)
                              : copy_to_user(buf, &now, sizeof now);
    return err ? err : MAX(t.top, 0);
}

long sys_shmctl(int id, int cmd, struct uptr buf)
{
    struct shmid64_ds ds;
    switch (cmd) {
    case IPC_RMID:
        return shm_remove(id);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return stat_out(id, cmd, buf);
    case IPC_SET:
        return set_in(id, buf);
    case IPC_INFO:
    case SHM_INFO:
        return info_out(cmd, buf);
    case SHM_LOCK: /* nothing is ever swapped out */
    case SHM_UNLOCK: {
        int r = shm_stat(id, false, true, &ds);
        return r < 0 ? r : 0;
    }
    default:
        return -EINVAL;
    }
}
