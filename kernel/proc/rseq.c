/* SPDX-License-Identifier: Apache-2.0 */
/* Restartable sequences: see rseq.h and linux/rseq.h. A damaged area kills, as on Linux. */
#include "proc/rseq.h"

#include <linux/errno.h>
#include <linux/rseq.h>

#include "arch/x86_64/layout.h"
#include "proc/exit.h"
#include "proc/task.h"
#include "vm/uaccess.h"

#define AREA_SIZE 32 /* the original struct rseq */

static int put_cpu(uint64_t area, uint32_t start, uint32_t cpu)
{
    const uint32_t ids[2] = {start, cpu};
    return copy_to_user((struct uptr){area}, ids, sizeof ids);
}

int rseq_register(uint64_t addr, uint32_t len, int flags, uint32_t signature)
{
    struct task *t = task_current();
    if (flags & RSEQ_FLAG_UNREGISTER) {
        if (flags != RSEQ_FLAG_UNREGISTER || !t->rseq || addr != t->rseq || len != AREA_SIZE)
            return -EINVAL;
        if (signature != t->rseq_signature)
            return -EPERM;
        int err = put_cpu(addr, 0, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
        if (!err)
            t->rseq = 0;
        t->thread->wants_switches = t->rseq != 0;
        return err;
    }
    if (flags)
        return -EINVAL;
    if (t->rseq)
        return t->rseq != addr || len != AREA_SIZE ? -EINVAL
               : signature != t->rseq_signature    ? -EPERM
                                                   : -EBUSY;
    if (addr % AREA_SIZE || len != AREA_SIZE)
        return -EINVAL;
    if (!user_range_ok((struct uptr){addr}, len))
        return -EFAULT;
    t->rseq = addr;
    t->rseq_signature = signature;
    t->thread->wants_switches = true;
    __atomic_or_fetch(&percpu()->work, WORK_NOTIFY, __ATOMIC_SEQ_CST); /* writes the CPU first */
    return 0;
}

/* Moves rip to the abort handler if it stands inside the sequence. */
static int leave_sequence(struct trap_frame *f, const struct task *t)
{
    const struct uptr field = {t->rseq + offsetof(struct rseq, rseq_cs)};
    uint64_t at, none = 0;
    struct rseq_cs cs;
    uint32_t signature;
    if (copy_from_user(&at, field, sizeof at))
        return -EFAULT;
    if (!at)
        return 0;
    if (copy_from_user(&cs, (struct uptr){at}, sizeof cs))
        return -EFAULT;
    if (cs.version || cs.abort_ip >= USER_END || cs.abort_ip - cs.start_ip < cs.post_commit_offset)
        return -EINVAL;
    if (copy_from_user(&signature, (struct uptr){cs.abort_ip - sizeof signature}, sizeof signature))
        return -EFAULT;
    if (signature != t->rseq_signature)
        return -EINVAL;
    if (copy_to_user(field, &none, sizeof none))
        return -EFAULT;
    if (f->rip - cs.start_ip < cs.post_commit_offset)
        f->rip = cs.abort_ip;
    return 0;
}

void rseq_fixup(struct trap_frame *f)
{
    const struct task *t = task_current();
    uint32_t cpu = percpu()->id;
    if (leave_sequence(f, t) || put_cpu(t->rseq, cpu, cpu))
        process_killed(SIGSEGV, "its rseq area is damaged");
}
