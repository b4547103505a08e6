/* SPDX-License-Identifier: Apache-2.0 */
/* Who is signalled when there is news of a file: F_SETOWN and such, fcntl(2). */
#pragma once

#include "vm/uaccess.h"

struct file;

/* fcntl(2)'s commands about owners. -ESRCH, -EINVAL (also: another command), -EFAULT. */
long file_owner_fcntl(struct file *f, unsigned cmd, unsigned long arg);
/* The signal to the owner: what file_owner_signal (file/file.h) points to. */
void file_owner_notify(const struct file *f, int sig);
