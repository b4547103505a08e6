/* SPDX-License-Identifier: Apache-2.0 */
/* The lock commands of fcntl(2). */
#pragma once

#include "file/file.h"

/* F_GETLK, F_SETLK, F_SETLKW and their OFD forms, by descriptor fd of f. */
long fcntl_lock(struct file *f, int fd, unsigned cmd, struct uptr arg);
