/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and credentials as control messages: unix(7). Files on their way
 * may be sockets that hold files on their way: they are put by a list, not by
 * recursion.
 */
#include <linux/errno.h>

#include "file/fdtable.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/control_message.h"
#include "net/unix_state.h"

static struct spinlock grave_lock;
static struct unix_files *grave;
static bool digging;
static size_t in_flight;

void unix_files_free(struct unix_files *f)
{
    if (!f)
        return;
    spin_lock(&grave_lock);
    f->next = grave;
    grave = f;
    bool mine = !digging;
    digging = true;
    while (mine && (f = grave) != NULL) {
        grave = f->next;
        spin_unlock(&grave_lock);
        __atomic_sub_fetch(&in_flight, f->count, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < f->count; i++) {
            unix_gc_count(f->file[i], -1);
            file_put(f->file[i]);
        }
        kfree(f);
        spin_lock(&grave_lock);
    }
    if (mine)
        digging = false;
    spin_unlock(&grave_lock);
}

/* The files of n descriptors behind those that *files has. */
static int files_add(struct unix_files **files, const void *fds, unsigned n)
{
    unsigned have = *files ? (*files)->count : 0;
    int fd, err = 0;
    if (have + n > SCM_FILES_MAX)
        return -EINVAL;
    struct unix_files *f = krealloc(*files, sizeof *f + (have + n) * sizeof f->file[0]);
    if (!f)
        return -ENOMEM;
    if (!have)
        f->count = 0;
    *files = f;
    for (unsigned i = 0; i < n && !err; i++) {
        memcpy(&fd, (const char *)fds + i * sizeof fd, sizeof fd);
        err = fd_get_any(socket_process.fds, fd, &f->file[f->count]);
        if (!err)
            unix_gc_count(f->file[f->count++], 1);
        __atomic_add_fetch(&in_flight, !err, __ATOMIC_RELAXED);
    }
    if (!err && __atomic_load_n(&in_flight, __ATOMIC_RELAXED) > socket_process.fds->limit &&
        !socket_process.privileged())
        err = -ETOOMANYREFS;
    return err;
}

static int claim(const struct control_message *c, struct credentials *who)
{
    if (c->len != sizeof *who)
        return -EINVAL;
    memcpy(who, c->data, sizeof *who);
    return socket_process.may_claim(who);
}

int unix_rights_take(const struct message *m, struct unix_files **files, struct credentials *who)
{
    struct control_message c;
    size_t at = 0;
    int err;
    *files = NULL;
    while ((err = control_next(m, &at, &c)) > 0) {
        err = 0;
        if (c.level != SOL_SOCKET)
            continue;
        if (c.type == SCM_CREDENTIALS)
            err = claim(&c, who);
        else if (c.type != SCM_RIGHTS)
            err = -EINVAL;
        else if (c.len >= sizeof(int))
            err = files_add(files, c.data, (unsigned)(MIN(c.len, CONTROL_MAX) / sizeof(int)));
        if (err)
            break;
    }
    if (err) {
        unix_files_free(*files);
        *files = NULL;
    }
    return err;
}

void unix_rights_give(struct message *m, const struct unix_files *f)
{
    int fds[SCM_FILES_MAX];
    unsigned n = 0, room = (unsigned)MIN(control_room(m) / sizeof fds[0], (size_t)f->count);
    for (; n < room; n++) {
        file_get(f->file[n]);
        fds[n] = fd_install(socket_process.fds, f->file[n], 0, m->flags & MSG_CMSG_CLOEXEC);
        if (fds[n] < 0) {
            file_put(f->file[n]);
            break;
        }
    }
    if (n)
        control_put(m, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof fds[0]);
    if (n < f->count)
        m->out_flags |= MSG_CTRUNC;
}
