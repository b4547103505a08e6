/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of the process and the machine: prctl, capabilities, personality,
 * names; and the calls that only an administrator of a machine may make.
 */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/prctl.h>

#include "lib/string.h"
#include "proc/process.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "vm/vma.h"

#define PERSONALITY_QUERY 0xffffffffu

static long name_set(struct uptr p)
{
    struct thread *t = thread_current();
    char name[sizeof t->name];
    memset(name, 0, sizeof name);
    ssize_t n = string_from_user(name, p, sizeof name);
    if (n == -EFAULT)
        return -EFAULT;
    name[sizeof name - 1] = '\0';
    memcpy(t->name, name, sizeof name);
    return 0;
}

static long ambient(unsigned long op, unsigned long cap)
{
    struct capabilities *caps = &process.caps;
    uint64_t bit = 1ull << (cap & 63);
    if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
        caps->ambient = 0;
        return cap ? -EINVAL : 0;
    }
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    switch (op) {
    case PR_CAP_AMBIENT_IS_SET:
        return caps->ambient & bit ? 1 : 0;
    case PR_CAP_AMBIENT_RAISE:
        if (!(caps->permitted & caps->inheritable & bit))
            return -EPERM;
        caps->ambient |= bit;
        return 0;
    case PR_CAP_AMBIENT_LOWER:
        caps->ambient &= ~bit;
        return 0;
    default:
        return -EINVAL;
    }
}

static long bounding_drop(unsigned long cap)
{
    if (!(process.caps.effective & 1ull << CAP_SETPCAP))
        return -EPERM;
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    process.caps.bounding &= ~(1ull << cap);
    return 0;
}

/* A switch of the process: 0 or 1. */
static long flag_set(bool *flag, unsigned long value, unsigned long rest)
{
    if (value > 1 || rest)
        return -EINVAL;
    *flag = value;
    return 0;
}

/* Options about capabilities and other properties that all threads share. */
static long prctl_process(int option, unsigned long a, unsigned long b, unsigned long c,
                          unsigned long d)
{
    switch (option) {
    case PR_CAPBSET_READ:
        return a > CAP_LAST_CAP ? -EINVAL : (long)(process.caps.bounding >> a & 1);
    case PR_CAPBSET_DROP:
        return bounding_drop(a);
    case PR_CAP_AMBIENT:
        return c || d ? -EINVAL : ambient(a, b);
    case PR_GET_KEEPCAPS:
        return process.caps.keep;
    case PR_SET_KEEPCAPS:
        return flag_set(&process.caps.keep, a, 0);
    case PR_GET_SECUREBITS:
        return process.caps.securebits;
    case PR_SET_SECUREBITS:
        if (!(process.caps.effective & 1ull << CAP_SETPCAP) || a & ~0xfful)
            return -EPERM;
        process.caps.securebits = (int)a;
        return 0;
    case PR_SET_THP_DISABLE:
        return flag_set(&vm.huge_disabled, a, b | c | d);
    case PR_GET_THP_DISABLE:
        return a || b || c || d ? -EINVAL : vm.huge_disabled;
    case PR_SET_CHILD_SUBREAPER:
        process.subreaper = a;
        return 0;
    case PR_GET_CHILD_SUBREAPER: {
        int on = process.subreaper;
        return copy_to_user((struct uptr){a}, &on, sizeof on);
    }
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return a == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_GET_TSC: {
        int mode = PR_TSC_ENABLE;
        return copy_to_user((struct uptr){a}, &mode, sizeof mode);
    }
    case PR_MCE_KILL_GET:
        return a || b || c || d ? -EINVAL : PR_MCE_KILL_DEFAULT;
    default:
        return -EINVAL;
    }
}

long sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    struct task *t = task_current();
    switch (option) {
    case PR_SET_NAME:
        return name_set((struct uptr){a});
    case PR_GET_NAME:
        return copy_to_user((struct uptr){a}, t->thread->name, sizeof t->thread->name);
    case PR_SET_DUMPABLE:
        if (a > 1)
            return -EINVAL;
        process.dumpable = a;
        return 0;
    case PR_GET_DUMPABLE:
        return process.dumpable;
    case PR_SET_PDEATHSIG:
        if (a > SIGNAL_COUNT)
            return -EINVAL;
        process.death_signal = (int)a;
        return 0;
    case PR_GET_PDEATHSIG:
        return copy_to_user((struct uptr){a}, &process.death_signal, sizeof process.death_signal);
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b || c || d)
            return -EINVAL;
        process.no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : process.no_new_privs;
    case PR_SET_TIMERSLACK:
        t->timer_slack = a ? a : 50000;
        return 0;
    case PR_GET_TIMERSLACK:
        return (long)t->timer_slack;
    case PR_GET_TID_ADDRESS:
        return copy_to_user((struct uptr){a}, &t->clear_child_tid, sizeof t->clear_child_tid);
    default:
        return prctl_process(option, a, b, c, d);
    }
}

/* How many 32-bit halves the version of a header means; 0: unknown. */
static unsigned version_words(uint32_t version)
{
    switch (version) {
    case _LINUX_CAPABILITY_VERSION_1:
        return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        return _LINUX_CAPABILITY_U32S_3;
    default:
        return 0;
    }
}

/* The words, 0 for a version that is unknown: the header then tells ours. */
static int header_get(struct uptr header, struct __user_cap_header_struct *h, unsigned *words)
{
    const uint32_t ours = _LINUX_CAPABILITY_VERSION_3;
    if (copy_from_user(h, header, sizeof *h))
        return -EFAULT;
    *words = version_words(h->version);
    return *words ? 0 : copy_to_user(header, &ours, sizeof ours);
}

long sys_capget(struct uptr header, struct uptr data)
{
    struct __user_cap_header_struct h;
    struct __user_cap_data_struct d[2];
    const struct capabilities *caps = &process.caps;
    unsigned words;
    int err = header_get(header, &h, &words);
    if (err || !words)
        return err ? err : uptr_null(data) ? 0 : -EINVAL;
    if (h.pid < 0)
        return -EINVAL;
    irqflags_t flags = spin_lock_irq(&process.lock);
    bool known = !h.pid || task_find_locked(h.pid);
    spin_unlock_irq(&process.lock, flags);
    if (!known)
        return -ESRCH;
    for (unsigned i = 0; i < 2; i++)
        d[i] = (struct __user_cap_data_struct){(uint32_t)(caps->effective >> 32 * i),
                                               (uint32_t)(caps->permitted >> 32 * i),
                                               (uint32_t)(caps->inheritable >> 32 * i)};
    return uptr_null(data) ? 0 : copy_to_user(data, d, words * sizeof d[0]);
}

long sys_capset(struct uptr header, struct uptr data)
{
    struct __user_cap_header_struct h;
    struct __user_cap_data_struct d[2];
    struct capabilities new = process.caps, *old = &process.caps;
    unsigned words;
    memset(d, 0, sizeof d);
    int err = header_get(header, &h, &words);
    if (err || !words)
        return err ? err : -EINVAL;
    if (h.pid && h.pid != task_current()->tid)
        return -EPERM;
    if (copy_from_user(d, data, words * sizeof d[0]))
        return -EFAULT;
    new.effective = d[0].effective | (uint64_t)d[1].effective << 32;
    new.permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
    new.inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
    const uint64_t known = (2ull << CAP_LAST_CAP) - 1;
    new.effective &= known, new.permitted &= known, new.inheritable &= known;
    bool may = old->effective & 1ull << CAP_SETPCAP;
    if (new.permitted & ~old->permitted || new.effective & ~new.permitted ||
        new.inheritable & ~(old->inheritable | (may ? old->bounding : old->permitted)))
        return -EPERM;
    new.ambient &= new.permitted &new.inheritable;
    *old = new;
    return 0;
}

long sys_personality(unsigned persona)
{
    long old = process.personality;
    if (persona != PERSONALITY_QUERY)
        process.personality = persona;
    return old;
}

static long name_change(char *field, struct uptr name, int len)
{
    char text[sizeof process.hostname] = "";
    if (!process_privileged())
        return -EPERM;
    if (len < 0 || len >= (int)sizeof text)
        return -EINVAL;
    if (copy_from_user(text, name, (size_t)len))
        return -EFAULT;
    memcpy(field, text, sizeof text);
    return 0;
}

long sys_sethostname(struct uptr name, int len)
{
    return name_change(process.hostname, name, len);
}

long sys_setdomainname(struct uptr name, int len)
{
    return name_change(process.domainname, name, len);
}

/* Nobody administers this machine from inside. */

long sys_syslog(int action, struct uptr buf, int size)
{
    (void)action, (void)buf, (void)size;
    return -EPERM;
}

long sys_acct(struct uptr name)
{
    (void)name;
    return -EPERM;
}

long sys_ptrace(long request, long pid, unsigned long addr, unsigned long data)
{
    (void)request, (void)pid, (void)addr, (void)data;
    return -EPERM;
}

long sys_mount(struct uptr source, struct uptr target, struct uptr type, unsigned long flags,
               struct uptr data)
{
    (void)source, (void)target, (void)type, (void)flags, (void)data;
    return -EPERM;
}

long sys_umount2(struct uptr target, unsigned flags)
{
    (void)target, (void)flags;
    return -EPERM;
}

long sys_unshare(unsigned flags)
{
    (void)flags;
    return -EPERM;
}

long sys_setns(int fd, unsigned type)
{
    (void)fd, (void)type;
    return -EPERM;
}

long sys_reboot(unsigned magic, unsigned magic2, unsigned command, struct uptr arg)
{
    (void)magic, (void)magic2, (void)command, (void)arg;
    return -EPERM;
}
