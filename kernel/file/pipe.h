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
