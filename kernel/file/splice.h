/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2) and tee(2): bytes from file to file, at least one of them a pipe. They are copied. */
#pragma once

#include "file/file.h"

/*
 * Moves up to n bytes, waiting for the first unless `nonblock`. A position is
 * NULL for a pipe, and for a file whose own is meant. Bytes, 0 at the end,
 * -EINVAL (no pipe; twice the same; O_APPEND), -EBADF, -ESPIPE, -EAGAIN, -EPIPE.
 */
ssize_t splice_files(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                     size_t n, bool nonblock);
ssize_t splice_tee(struct file *in, struct file *out, size_t n, bool nonblock);
