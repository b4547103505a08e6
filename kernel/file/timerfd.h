/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd(2): a timer whose expirations are read as a count of 8 bytes. */
#pragma once

#include "file/file.h"
#include "sched/ticker.h"

/* wall: the moments it is set to are of the wall clock; flags: O_NONBLOCK. -ENOMEM. */
int timerfd_create(bool wall, uint32_t flags, struct file **out);
/* With `cancel` a read fails with -ECANCELED once the wall clock was set. -EINVAL: no timerfd. */
int timerfd_set(struct file *f, const struct ticker_time *new, bool absolute, bool cancel,
                struct ticker_time *old);
int timerfd_get(struct file *f, struct ticker_time *out);
