/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2): steps of file/pipe.h, and waiting for whichever side is not ready. No lock. */
#include "file/splice.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/pipe.h"
#include "file/wait.h"

/* Sleeps until the side that is not ready may be. */
static int splice_wait(struct file *in, struct file *out)
{
    struct poll_file side = {in, POLLIN, 0};
    if (file_poll(in, NULL) & (POLLIN | POLLHUP | POLLERR))
        side = (struct poll_file){out, POLLOUT, 0};
    int n = poll_wait(&side, 1, CLOCK_NEVER);
    return n == -EINTR ? -ERESTARTSYS : MIN(n, 0);
}

static ssize_t splice_step(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                           size_t n, bool keep)
{
    if (pipe_is(in) && pipe_is(out))
        return pipe_move(in, out, n, keep);
    return pipe_is(in) ? pipe_move_out(in, out, out_pos, n) : pipe_move_in(out, in, in_pos, n);
}

static ssize_t splice_loop(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                           size_t n, bool nonblock, bool keep)
{
    ssize_t r;
    nonblock = nonblock || (in->flags | out->flags) & O_NONBLOCK;
    for (;;) {
        r = splice_step(in, in_pos, out, out_pos, n, keep);
        if (r != -EAGAIN || nonblock)
            break;
        int err = splice_wait(in, out);
        if (err)
            return err;
    }
    file_written(out, r);
    return r;
}

/* The side that is no pipe: with its own position if it has one and none is given. */
static ssize_t splice_at(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                         size_t n, bool nonblock)
{
    struct file *f = pipe_is(in) ? out : in;
    uint64_t none = 0, **pos = pipe_is(in) ? &out_pos : &in_pos;
    bool own = !*pos && f->ops->seek;
    if (!*pos)
        *pos = own ? &f->pos : &none;
    if (own)
        mutex_lock(&f->pos_lock);
    ssize_t r = splice_loop(in, in_pos, out, out_pos, n, nonblock, false);
    if (own)
        mutex_unlock(&f->pos_lock);
    return r;
}

ssize_t splice_files(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                     size_t n, bool nonblock)
{
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if ((pipe_is(in) && in_pos) || (pipe_is(out) && out_pos))
        return -ESPIPE;
    if (!pipe_is(in) && !pipe_is(out))
        return -EINVAL;
    if (!in->ops->read || !out->ops->write || out->flags & O_APPEND)
        return -EINVAL;
    if ((in_pos && !in->ops->seek) || (out_pos && !out->ops->seek))
        return -EINVAL;
    return splice_at(in, in_pos, out, out_pos, n, nonblock);
}

ssize_t splice_tee(struct file *in, struct file *out, size_t n, bool nonblock)
{
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (!pipe_is(in) || !pipe_is(out))
        return -EINVAL;
    return splice_loop(in, NULL, out, NULL, n, nonblock, true);
}
