/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners of files: see file_owner.h. Main struct: file (its owner). The words are changed one by
 * one, without a lock: who sets an owner while it is signalled may see either.
 */
#include "proc/file_owner.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "file/file.h"
#include "lib/string.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/task.h"

static int owner_set(struct file *f, int type, int id)
{
    if (type != F_OWNER_TID && type != F_OWNER_PID && type != F_OWNER_PGRP)
        return -EINVAL;
    if (id && (type == F_OWNER_PGRP ? id != PROCESS_PID : signal_send_tid(id, 0, NULL)))
        return -ESRCH;
    f->owner_type = (uint8_t)type;
    f->owner = id;
    return 0;
}

/* F_SETOWN: a negative number is a group's. */
static int owner_set_number(struct file *f, int id)
{
    if (id == INT32_MIN)
        return -EINVAL;
    return owner_set(f, id < 0 ? F_OWNER_PGRP : F_OWNER_PID, id < 0 ? -id : id);
}

static int owner_get_ex(const struct file *f, struct uptr to)
{
    const struct f_owner_ex ex = {.type = f->owner ? f->owner_type : F_OWNER_TID, .pid = f->owner};
    return copy_to_user(to, &ex, sizeof ex);
}

static int owner_set_ex(struct file *f, struct uptr from)
{
    struct f_owner_ex ex;
    int err = copy_from_user(&ex, from, sizeof ex);
    return err ? err : owner_set(f, ex.type, ex.pid);
}

long file_owner_fcntl(struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_SETOWN:
        return owner_set_number(f, (int)arg);
    case F_GETOWN:
        return f->owner_type == F_OWNER_PGRP ? -f->owner : f->owner;
    case F_SETOWN_EX:
        return owner_set_ex(f, (struct uptr){arg});
    case F_GETOWN_EX:
        return owner_get_ex(f, (struct uptr){arg});
    case F_SETSIG:
        if (arg > SIGNAL_COUNT)
            return -EINVAL;
        f->owner_signal = (uint8_t)arg;
        return 0;
    case F_GETSIG:
        return f->owner_signal;
    default:
        return -EINVAL;
    }
}

void file_owner_notify(const struct file *f, int sig)
{
    siginfo_t info;
    int owner = f->owner;
    if (!owner)
        return;
    if (f->owner_type != F_OWNER_TID) {
        signal_kernel(sig);
        return;
    }
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = SI_KERNEL;
    signal_send_tid(owner, sig, &info);
}
