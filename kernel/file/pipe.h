/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: a ring of bytes with two ends. */
#pragma once

#include "file/file.h"

#define PIPE_ATOMIC 4096 /* PIPE_BUF: writes up to this are not interleaved */

/* Both ends, one reference each; flags: O_NONBLOCK. -ENOMEM. */
int pipe_create(uint32_t flags, struct file **read_end, struct file **write_end);
/* F_GETPIPE_SZ and F_SETPIPE_SZ: bytes; -EBADF not a pipe, -EBUSY, -EPERM too large, -ENOMEM. */
long pipe_size(struct file *f);
long pipe_resize(struct file *f, unsigned long size);

/*
 * Steps of splice(2) and tee(2), which do not sleep for readiness: bytes, 0 at
 * the end, -EAGAIN, -EPIPE, or the other file's error. `pos` as in file_ops.
 */
bool pipe_is(const struct file *f);
ssize_t pipe_move_out(struct file *pipe, struct file *to, uint64_t *pos, size_t n);
ssize_t pipe_move_in(struct file *pipe, struct file *from, uint64_t *pos, size_t n);
/* Between two pipes; with `keep` the bytes also stay. -EINVAL: it is the same pipe. */
ssize_t pipe_move(struct file *from, struct file *to, size_t n, bool keep);
