/* SPDX-License-Identifier: Apache-2.0 */
/* Who the process is: ids, groups, sessions, names, limits and usage. */
#include <linux/errno.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include <asm/prctl.h>

#include "arch/x86_64/layout.h"
#include "core/random.h"
#include "file/fdtable.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "proc/process.h"
#include "proc/task.h"
#include "sched/load.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"
#include "vm/map.h"

#define UNAME_RELEASE "6.1.0-ops"
#define KEEP          UINT32_MAX /* -1: leave this id as it is */

long sys_getpid(void)
{
    return PROCESS_PID;
}

long sys_getppid(void)
{
    return PROCESS_PPID;
}

long sys_getuid(void)
{
    return process.uid;
}

long sys_geteuid(void)
{
    return process.euid;
}

long sys_getgid(void)
{
    return process.gid;
}

long sys_getegid(void)
{
    return process.egid;
}

static bool id_one_of(uint32_t id, uint32_t real, uint32_t effective, uint32_t saved)
{
    return id == KEEP || id == real || id == effective || id == saved;
}

long sys_setresuid(unsigned ruid, unsigned euid, unsigned suid)
{
    if (!process_privileged() && !(id_one_of(ruid, process.uid, process.euid, process.suid) &&
                                   id_one_of(euid, process.uid, process.euid, process.suid) &&
                                   id_one_of(suid, process.uid, process.euid, process.suid)))
        return -EPERM;
    process.uid = ruid == KEEP ? process.uid : ruid;
    process.euid = euid == KEEP ? process.euid : euid;
    process.suid = suid == KEEP ? process.suid : suid;
    process.fsuid = process.euid;
    process_update_cred();
    return 0;
}

long sys_setresgid(unsigned rgid, unsigned egid, unsigned sgid)
{
    if (!process_privileged() && !(id_one_of(rgid, process.gid, process.egid, process.sgid) &&
                                   id_one_of(egid, process.gid, process.egid, process.sgid) &&
                                   id_one_of(sgid, process.gid, process.egid, process.sgid)))
        return -EPERM;
    process.gid = rgid == KEEP ? process.gid : rgid;
    process.egid = egid == KEEP ? process.egid : egid;
    process.sgid = sgid == KEEP ? process.sgid : sgid;
    process.fsgid = process.egid;
    process_update_cred();
    return 0;
}

long sys_setuid(unsigned uid)
{
    if (uid == KEEP)
        return -EINVAL;
    return process_privileged() ? sys_setresuid(uid, uid, uid) : sys_setresuid(KEEP, uid, KEEP);
}

long sys_setgid(unsigned gid)
{
    if (gid == KEEP)
        return -EINVAL;
    return process_privileged() ? sys_setresgid(gid, gid, gid) : sys_setresgid(KEEP, gid, KEEP);
}

/* The saved id follows when the real one is set or the effective one leaves it. */
long sys_setreuid(unsigned ruid, unsigned euid)
{
    if (!process_privileged() && !id_one_of(ruid, process.uid, process.euid, process.euid))
        return -EPERM;
    bool save = ruid != KEEP || (euid != KEEP && euid != process.uid);
    uint32_t suid = save ? (euid == KEEP ? process.euid : euid) : KEEP;
    return sys_setresuid(ruid, euid, suid);
}

long sys_setregid(unsigned rgid, unsigned egid)
{
    if (!process_privileged() && !id_one_of(rgid, process.gid, process.egid, process.egid))
        return -EPERM;
    bool save = rgid != KEEP || (egid != KEEP && egid != process.gid);
    uint32_t sgid = save ? (egid == KEEP ? process.egid : egid) : KEEP;
    return sys_setresgid(rgid, egid, sgid);
}

static long put_three(struct uptr a, struct uptr b, struct uptr c, uint32_t x, uint32_t y,
                      uint32_t z)
{
    return copy_to_user(a, &x, sizeof x) || copy_to_user(b, &y, sizeof y) ||
                   copy_to_user(c, &z, sizeof z)
               ? -EFAULT
               : 0;
}

long sys_getresuid(struct uptr ruid, struct uptr euid, struct uptr suid)
{
    return put_three(ruid, euid, suid, process.uid, process.euid, process.suid);
}

long sys_getresgid(struct uptr rgid, struct uptr egid, struct uptr sgid)
{
    return put_three(rgid, egid, sgid, process.gid, process.egid, process.sgid);
}

long sys_setfsuid(unsigned uid)
{
    uint32_t old = process.fsuid;
    if (uid != KEEP &&
        (process_privileged() || id_one_of(uid, process.uid, process.euid, process.suid)))
        process.fsuid = uid;
    process_update_cred();
    return old;
}

long sys_setfsgid(unsigned gid)
{
    uint32_t old = process.fsgid;
    if (gid != KEEP &&
        (process_privileged() || id_one_of(gid, process.gid, process.egid, process.sgid)))
        process.fsgid = gid;
    process_update_cred();
    return old;
}

long sys_getgroups(int size, struct uptr list)
{
    if (size < 0)
        return -EINVAL;
    if (!size)
        return process.group_count;
    if ((unsigned)size < process.group_count)
        return -EINVAL;
    if (copy_to_user(list, process.groups, process.group_count * sizeof *process.groups))
        return -EFAULT;
    return process.group_count;
}

long sys_setgroups(unsigned long size, struct uptr list)
{
    if (!process_privileged())
        return -EPERM;
    if (size > GROUPS_MAX)
        return -EINVAL;
    uint32_t *groups = size ? kmalloc(size * sizeof *groups) : NULL;
    if (size && !groups)
        return -ENOMEM;
    if (copy_from_user(groups, list, size * sizeof *groups)) {
        kfree(groups);
        return -EFAULT;
    }
    uint32_t *old = process.groups;
    process.group_count = 0;
    process.groups = groups;
    process.group_count = (uint32_t)size;
    process_update_cred();
    kfree(old);
    return 0;
}

static long check_pid(int pid, long ok)
{
    return pid == 0 || pid == PROCESS_PID ? ok : -ESRCH;
}

long sys_getpgrp(void)
{
    return PROCESS_PID;
}

long sys_getpgid(int pid)
{
    return check_pid(pid, PROCESS_PID);
}

long sys_getsid(int pid)
{
    return check_pid(pid, PROCESS_PID);
}

/* The process leads its session and group from the start, so neither call may succeed. */
long sys_setsid(void)
{
    return -EPERM;
}

long sys_setpgid(int pid, int pgid)
{
    if (pgid < 0)
        return -EINVAL;
    return check_pid(pid, -EPERM);
}

static void copy_field(char dst[__NEW_UTS_LEN + 1], const char *src)
{
    memcpy(dst, src, strnlen(src, __NEW_UTS_LEN));
}

long sys_uname(struct uptr buf)
{
    struct new_utsname u;
    memset(&u, 0, sizeof u);
    copy_field(u.sysname, "Linux");
    copy_field(u.nodename, process.hostname);
    copy_field(u.release, UNAME_RELEASE);
    copy_field(u.version, "#1 SMP ops " OPS_VERSION);
    copy_field(u.machine, "x86_64");
    copy_field(u.domainname, process.domainname);
    return copy_to_user(buf, &u, sizeof u);
}

long sys_sysinfo(struct uptr info)
{
    struct sysinfo s;
    memset(&s, 0, sizeof s);
    s.uptime = (long)(clock_now() / NSEC_PER_SEC);
    uint64_t average[LOAD_AVERAGES];
    load_get(average);
    for (unsigned i = 0; i < LOAD_AVERAGES; i++)
        s.loads[i] = average[i] >> (LOAD_SHIFT - SI_LOAD_SHIFT);
    s.totalram = page_count_total() << PAGE_SHIFT;
    s.freeram = page_count_free() << PAGE_SHIFT;
    s.procs = (uint16_t)process.task_count;
    s.mem_unit = 1;
    return copy_to_user(info, &s, sizeof s);
}

static int limit_change(unsigned resource, const struct limit *new)
{
    struct limit *l = &process.limits[resource];
    if (new->soft > new->hard)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && new->hard > FD_TABLE_MAX)
        return -EPERM;
    if (new->hard > l->hard && !process_privileged())
        return -EPERM;
    *l = *new;
    process_apply_limit(resource);
    return 0;
}

long sys_prlimit64(int pid, unsigned resource, struct uptr new, struct uptr old)
{
    struct limit want, before;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (!uptr_null(new) && copy_from_user(&want, new, sizeof want))
        return -EFAULT;
    if (pid && pid != PROCESS_PID)
        return -ESRCH;
    before = process.limits[resource];
    int err = uptr_null(new) ? 0 : limit_change(resource, &want);
    if (!err && !uptr_null(old))
        err = copy_to_user(old, &before, sizeof before);
    return err;
}

long sys_getrlimit(unsigned resource, struct uptr limit)
{
    return resource < RLIM_NLIMITS
               ? copy_to_user(limit, &process.limits[resource], sizeof(struct limit))
               : -EINVAL;
}

long sys_setrlimit(unsigned resource, struct uptr limit)
{
    struct limit want;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    return copy_from_user(&want, limit, sizeof want) ? -EFAULT : limit_change(resource, &want);
}

long sys_getrusage(int who, struct uptr usage)
{
    struct rusage r;
    memset(&r, 0, sizeof r);
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    if (who != RUSAGE_CHILDREN) {
        const struct thread *t = thread_current();
        uint64_t own = t->switches, forced = t->preemptions;
        if (who == RUSAGE_SELF)
            process_switches(&own, &forced);
        uint64_t ns = who == RUSAGE_SELF ? process_cpu_time() : thread_cpu_time(t);
        r.ru_utime.tv_sec = (long)(ns / NSEC_PER_SEC);
        r.ru_utime.tv_usec = (long)(ns % NSEC_PER_SEC / 1000);
        r.ru_maxrss = (long)(vm.resident_max << (PAGE_SHIFT - 10));
        r.ru_minflt = (long)vm.faults;
        r.ru_nvcsw = (long)own;
        r.ru_nivcsw = (long)forced;
    }
    return copy_to_user(usage, &r, sizeof r);
}

long sys_arch_prctl(int option, struct uptr addr)
{
    struct context *c = &thread_current()->context;
    uint64_t value;
    switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (addr.addr >= USER_END)
            return -EPERM;
        if (option == ARCH_SET_FS)
            context_set_fs(c, addr.addr);
        else
            context_set_gs(c, addr.addr);
        return 0;
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        value = option == ARCH_GET_FS ? context_get_fs(c) : context_get_gs(c);
        return copy_to_user(addr, &value, sizeof value);
    default:
        return -EINVAL;
    }
}

long sys_getrandom(struct uptr buf, unsigned long count, unsigned flags)
{
    uint8_t part[256];
    if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        (flags & GRND_RANDOM && flags & GRND_INSECURE))
        return -EINVAL;
    count = MIN(count, 0x7fffffful << 4);
    for (unsigned long done = 0; done < count; done += sizeof part) {
        size_t n = MIN(count - done, sizeof part);
        random_bytes(part, n);
        if (copy_to_user(uptr_add(buf, done), part, n))
            return done ? (long)done : -EFAULT;
    }
    return (long)count;
}
